"""The command that fills what is missing: impute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import Out, RunPath, Seed, SourcePath, command, open_run
from vaekit.errors import UsageError
from vaekit.progress import described


@command("impute")
def impute(
    run: RunPath,
    source: SourcePath,
    out: Out,
    n: Annotated[
        int | None,
        typer.Option(help="Draw so many imputations: OUT-1, OUT-2 … in place of the best estimate."),
    ] = None,
    intervals: Annotated[
        float | None,
        typer.Option(
            help="Ends that hold each number with this probability: OUT-low and OUT-high besides OUT."
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Draws of z for each row.")] = 1_000,
    seed: Seed = 0,
) -> dict[str, Any]:
    """Fill holes: empty cells of a table, NaN in arrays, missing parts; all else is given back as it came."""
    import numpy as np

    opened = open_run(run)
    found = opened.imputed(source, n, intervals, samples=samples, seed=seed)
    if n:
        made = {beside(out, str(i)): one for i, one in enumerate(found.draws, start=1)}
    elif intervals:
        made = {out: found.best, beside(out, "low"): found.low, beside(out, "high"): found.high}
    else:
        made = {out: found.best}
    for path, values in made.items():
        write_filled(path, values, opened.kind)
    effective = round(float(np.median(found.effective)), 1) if len(found.effective) else None
    result = {
        "filled": found.count, "rows": len(found.effective), "effective_draws": effective, "samples": samples,
        "out": str(next(iter(made))) if len(made) == 1 else [str(path) for path in made],
    }  # fmt: skip
    notes = [f"note: {note}" for note in found.notes]
    return {**result, "text": "\n".join([described(result), *notes])}


def beside(out: Path, word: str) -> Path:
    """A path beside another, with a word at the end of its name: full.csv → full-low.csv."""
    return out.with_name(f"{out.stem}-{word}{out.suffix}")


def write_filled(path: Path, values: Any, kind: Any) -> None:
    """What was filled, in the form that the suffix says.

    Raises:
        UsageError: E107, these values are not written so.
    """
    import numpy as np

    from vaekit import outputs
    from vaekit.data import Images, Parts, Table

    if isinstance(kind, Table):
        outputs.write_items(path, _whole(values, kind), kind)
    elif isinstance(kind, Parts):
        outputs.write_items(path, values, kind)
    elif isinstance(kind, Images) and path.suffix.lower() not in (".npy", ".npz"):
        levels = kind.store(values)
        outputs.write_items(path, np.asarray(values), kind, levels.float() / kind.top)
    elif hasattr(values, "columns"):
        if path.suffix.lower() not in (".csv", ".parquet"):
            raise UsageError(
                "E107", f"--out {path}: a table is written as .csv or .parquet.", hint="--out full.csv"
            )
        outputs.write_table(path, {str(name): values[name].to_numpy() for name in values.columns})
    else:
        outputs.write_items(path, np.asarray(values), kind)


def _whole(frame: Any, kind: Any) -> Any:
    """Whole numbers written as such, categories too: beside empty cells pandas had read them as 60.0."""
    whole = [c.name for c in kind.columns if c.word != "number" and c.name in frame]
    there = [
        name for name in whole if frame[name].dtype.kind == "f" and (frame[name].dropna() % 1 == 0).all()
    ]
    return frame.astype(dict.fromkeys(there, "Int64"))
