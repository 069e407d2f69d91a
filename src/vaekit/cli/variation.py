"""Commands that vary items: augment, edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import Out, RunPath, Seed, SourcePath, command, open_run
from vaekit.errors import UsageError
from vaekit.progress import described

WIDE, APART = 12, 8  # steps in a line, and pixels between the original and them
NOTHING, JUST = 1e-6, 1.0  # standard deviations that are no change, and that can just be told
LITTLE = 0.2  # share of what was asked that is little


@command("augment")
def augment(
    run: RunPath,
    source: SourcePath,
    out: Out,
    factor: Annotated[
        int, typer.Option(help="So many times as many items in the end, the old ones first.")
    ] = 5,
    way: Annotated[
        str | None,
        typer.Option(
            help="transfer: as others of its label differ; mix with another; jitter; sample. [transfer, with labels]"
        ),
    ] = None,
    spread: Annotated[
        float | None, typer.Option(help="How far from the old items. [as suits the way]")
    ] = None,
    detail: Annotated[
        bool | None,
        typer.Option("--detail/--no-detail", help="Keep what the decoder cannot draw. [as suits the kind]"),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="The name of the array of labels in an .npz; or folders: the names of the sub-folders. [found by name]"
        ),
    ] = None,
    seed: Seed = 0,
) -> dict[str, Any]:
    """More items of the same labels: each old one, then new ones made from it."""
    from vaekit.outputs import PICTURES

    opened = open_run(run)
    made = opened.augment(source, labels, factor, way=way, spread=spread, detail=detail, seed=seed)
    write_labelled(out, made.x, made.y, opened.kind, factor)
    known = {} if made.y is None else {"labels": len(set(made.y.tolist()))}
    result = {"n": len(made.x), "old": len(made.x) // factor, **known, "out": str(out)}
    notes = ["note: --factor 1 gives back what came: nothing new was made"] if factor == 1 else []
    if made.y is not None and out.suffix.lower() in PICTURES:
        notes.append("note: a picture has no place for the labels; .npz, .csv or a folder has")
    return {**result, "text": "\n".join([described(result), *notes])}


@command("edit")
def edit(
    run: RunPath,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="A file, or SOURCE#row.", show_default=False)],
    out: Out,
    dim: Annotated[int | None, typer.Option(help="Change this dimension of the code.")] = None,
    toward: Annotated[str | None, typer.Option(help="Or change the item towards this label.")] = None,
    by: Annotated[
        float | None,
        typer.Option(help="Standard deviations of the dimension [2]; share of the way to the label [1]."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Items on the way, the last all the way.")] = 1,
    detail: Annotated[
        bool | None,
        typer.Option("--detail/--no-detail", help="Keep what the decoder cannot draw. [as suits the kind]"),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Data whose codes to go by. [those held out in training]")
    ] = None,
) -> dict[str, Any]:
    """One item with one factor changed, and how far the rest moved; as a picture, the original first."""
    from vaekit import files, outputs
    from vaekit.data import Images

    opened = open_run(run)
    found = opened.edit(item, from_, dim=dim, toward=toward, by=by, steps=steps, detail=detail)
    if out.suffix.lower() in outputs.PICTURES and isinstance(opened.kind, Images):
        sheet = strip(opened.kind.picture(found.made.x))
        files.write(out, outputs.picture_bytes(sheet, out.suffix.lower()))
    else:
        outputs.write_items(out, found.x, opened.kind, found.made.x[1:])
    change = {"dim": dim} if toward is None else {"toward": toward}
    score = {"asked": round(found.asked, 3), "moved": round(found.moved, 3), "else": round(found.others, 3)}
    result = {**change, **score, "out": str(out)}
    told = [
        "asked, moved, else: standard deviations of q(z | x)",
        *_reached(found, toward, by),
        *_unused(opened, dim),
    ]
    return {**result, "text": "\n".join([described(result), *told])}


def strip(pictures: Any) -> Any:
    """The original, a gap, and the steps in lines of twelve: (1 + S, H, W[, C]) uint8 → (height, width, 3)."""
    import numpy as np

    from vaekit import outputs

    pictures = outputs.enlarged(pictures)
    first, way = outputs.grid(pictures[:1]), outputs.grid(pictures[1:], min(WIDE, len(pictures) - 1))
    left = np.full((len(way), first.shape[1] + APART, 3), 255, dtype=np.uint8)
    left[: len(first), : first.shape[1]] = first
    return np.concatenate([left, way], axis=1)


def _reached(found: Any, toward: str | None, by: float | None) -> list[str]:
    """How much of what was asked was reached, in words; a note where that is little, or where nothing was asked."""
    if found.asked < NOTHING:
        why = "no item of those known moves along it" if toward is None else f"it is at {toward} already"
        why = "--by 0 asks for no change" if by == 0 else why
        return [f"note: {why}: nothing was changed"]
    if found.asked < JUST:
        return []
    share = found.moved / found.asked
    if share < 0:
        return ["note: it moved the other way: the model does not find again what it was asked to change"]
    told = f"it moved {share:.0%} of what was asked"
    little = "note: {}: the decoder does not go so far; a smaller --by asks for what it can do"
    return [little.format(told.replace("moved", "moved only")) if share < LITTLE else told]


def _unused(opened: Any, dim: int | None) -> list[str]:
    """A note where the model does not use a dimension."""
    used = (opened.about.get("calibration") or {}).get("active") or []
    if dim is None or not used or used[dim] or not any(used):
        return []
    others = ", ".join(str(place) for place, active in enumerate(used) if active)
    return [f"note: this model does not use dimension {dim}; it uses {others}"]


def write_labelled(out: Path, x: Any, y: Any, kind: Any, factor: int) -> None:
    """Items with their labels: arrays, a column, or a sub-folder for each label; without labels as any items.

    Raises:
        UsageError: E107, this form has no place for labels.
    """
    from vaekit import outputs
    from vaekit.data import Images

    unit = kind.store(x).float() / kind.top if isinstance(kind, Images) else None
    suffix, columns = out.suffix.lower(), len(x) // factor
    if y is None or suffix in outputs.PICTURES:  # in a picture, new ones below the old one they come from
        outputs.write_items(out, x, kind, unit, columns if columns <= 16 else None)
    elif suffix == ".npz":
        name = "images" if isinstance(kind, Images) else "values"
        outputs.write_arrays(out, {name: _array(x), "labels": y})
    elif suffix in outputs.TABLES:
        flat = _array(x).reshape(len(x), -1)
        names = ["text"] if flat.dtype.kind == "U" else [f"x{i}" for i in range(flat.shape[1])]
        outputs.write_table(out, {**dict(zip(names, flat.T, strict=True)), "label": y})
    elif suffix or not isinstance(kind, Images):
        message = f"--out {out}: {suffix or 'a folder'} has no place for the labels."
        raise UsageError("E107", message, hint="--out with .npz or .csv")
    else:
        _write_folders(out, x, y, kind, unit)


def _array(x: Any) -> Any:
    import numpy as np

    return np.array(x, dtype=np.str_) if isinstance(x, list) else x


def _write_folders(out: Path, x: Any, y: Any, kind: Any, unit: Any) -> None:
    """A sub-folder of images for each label.

    Raises:
        UsageError: E107, something else is there, or a label is no name of a folder.
    """
    import numpy as np

    from vaekit import outputs

    words = y.astype(str)
    names = [str(name) for name in np.unique(words)]
    bad = [
        name for name in names if not name.strip() or name.startswith(".") or set(name) & set('/\\:*?"<>|')
    ]
    if bad:
        raise UsageError("E107", f"the label {bad[0]!r} is no name of a folder.", hint="--out with .npz")
    outputs.refuse_others(out, names.__contains__)
    for name in names:
        rows = np.flatnonzero(words == name)
        outputs.write_items(out / name, x[rows], kind, unit[rows])
