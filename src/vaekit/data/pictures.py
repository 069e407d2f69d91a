"""Image files: headers first, for sizes and forms, then pixels into one array; nothing is changed unsaid."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from vaekit.data.checks import check_room, listed
from vaekit.data.labels import index_labels
from vaekit.data.loaded import Source
from vaekit.data.pixels import Header, Plan, decode, read_header
from vaekit.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
SPLITS = {
    "train",
    "training",
    "test",
    "testing",
    "val",
    "valid",
    "validation",
    "dev",
    "eval",
    "images",
    "labels",
}
CORRUPT_SHARE = 0.01  # so many unreadable files are left out and named; more are an error
THREADS = 2  # decoders release the interpreter's lock


def read_folder(root: Path, labels: str | None = None, image_size: int | None = None) -> Source:
    """Every image below a folder, in natural order (2 before 10); hidden files are left alone.

    Sub-folders are the labels where every image lies in one, and there are at least two.

    Args:
        root: The folder.
        labels: "folders" insists on sub-folders as labels; None takes them where they are.
        image_size: As in `read_files`.

    Raises:
        DataError: E202 no images, E214 labels asked for that are not there, and as in `read_files`.
    """
    names, others = _listing(root)
    if not names:
        found = f"; there are {_counted(others)}" if others else ""
        hint = f"known images: {' '.join(SUFFIXES)}; for arrays name the file itself"
        raise DataError("E202", f"there are no images in this folder{found}.", where=root, hint=hint)
    source = read_files([root / name for name in names], names, root, image_size)
    if others:
        source.notes.append(f"other files in the folder were left alone: {_counted(others)}.")
    _label_by_folder(source, insist=labels is not None)
    return source


def read_files(
    paths: Sequence[Path], names: Sequence[str], where: object, image_size: int | None = None
) -> Source:
    """Decode image files into one array.

    Args:
        paths: The files.
        names: What to call each.
        where: What to call all of them.
        image_size: Scale the shorter side to this and crop the centre; None takes images as they are.

    Returns:
        Values (N, H, W) or (N, H, W, 3), uint8 or uint16.

    Raises:
        DataError: E204 more than 1 % are unreadable, E205 several sizes, E210 too large, E211 values that are no
            pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Pillow warns of damage that is reported here, and of sizes checked here
        headers, bad = _headers(paths, names)
        _refuse_corrupt(bad, len(paths), where)
        notes = _header_notes(list(headers.values()))
        plan = _plan({names[i]: header for i, header in headers.items()}, where, image_size, notes)
        values, failed = _decode_all([paths[i] for i in headers], plan, where)
    places = [i for i, problem in zip(headers, failed, strict=True) if problem is None]
    bad += [
        f"{names[i]} ({problem})" for i, problem in zip(headers, failed, strict=True) if problem is not None
    ]
    _refuse_corrupt(bad, len(paths), where)
    if bad:
        notes.append(f"{len(bad)} of {len(paths)} images could not be read and were left out: {listed(bad)}.")
        values = _moved_up(values, failed)
    return Source(values, names=[names[i] for i in places], path=str(where), notes=notes)


def _listing(root: Path) -> tuple[list[str], list[str]]:
    """Names of images and of other files below a folder, in natural order."""
    names = sorted(_visible(root), key=_natural)
    images = [name for name in names if name.lower().endswith(SUFFIXES)]
    return images, [name for name in names if not name.lower().endswith(SUFFIXES)]


def _visible(root: Path) -> Iterator[str]:
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = Path(place).relative_to(root)
        yield from ((relative / name).as_posix() for name in files if not name.startswith("."))


def _natural(name: str) -> list[list[str | int]]:
    """Numbers inside a name in the order of their values; what is case alone decides last."""
    parts = [re.split(r"(\d+)", part) for part in (name.lower(), name)]
    return [[int(word) if word.isdecimal() else word for word in words] for words in parts]


def _counted(names: Sequence[str]) -> str:
    """How many files of each suffix.

    Example:
        >>> _counted(["a.csv", "b.csv", "README"])
        '2 .csv, 1 without suffix'
    """
    counts = Counter(Path(name).suffix or "without suffix" for name in names)
    return listed([f"{count} {suffix}" for suffix, count in counts.most_common()])


def _label_by_folder(source: Source, insist: bool) -> None:
    names = source.names or []
    parents = [name.split("/")[:-1] for name in names]
    shared = len(
        os.path.commonprefix(parents)
    )  # photos/2024/cat and photos/2024/dog differ in their third word
    loose = [name for name, parent in zip(names, parents, strict=True) if len(parent) <= shared]
    if loose and insist:
        message = f"{len(loose)} images lie in no sub-folder of their own: {listed(loose)}."
        raise DataError(
            "E214", message, where=source.path, hint="move each into a folder named after its label"
        )
    if loose:
        return
    words = [parent[shared] for parent in parents]
    if not insist and {word.lower() for word in set(words)} <= SPLITS:
        source.notes.append(f"the sub-folders {listed(sorted(set(words)))} look like splits, not labels.")
        return
    source.labels, source.label_names = index_labels(words, len(words), source.path)
    source.notes.append(
        f"the {len(source.label_names)} sub-folders are the labels: {listed(source.label_names)}."
    )


def _headers(paths: Sequence[Path], names: Sequence[str]) -> tuple[dict[int, Header], list[str]]:
    headers: dict[int, Header] = {}
    bad: list[str] = []
    for i, path in enumerate(paths):
        try:
            headers[i] = read_header(path)
        except DataError:
            raise
        except Exception as error:  # a damaged file can break a decoder in any way
            bad.append(f"{names[i]} ({_reason(error)})")
    return headers, bad


def _reason(error: Exception) -> str:
    return str(error).split("\n")[0][:80] or type(error).__name__


def _refuse_corrupt(bad: list[str], total: int, where: object) -> None:
    if len(bad) > CORRUPT_SHARE * total:
        message = f"{len(bad)} of {total} images cannot be read (at most 1 % are left out): {listed(bad)}."
        raise DataError("E204", message, where=where, hint="remove or repair them")


def _header_notes(headers: list[Header]) -> list[str]:
    said = {
        "have transparency; they are composited over white": sum(h.alpha for h in headers),
        "hold several pictures; only the first of each is taken": sum(h.frames > 1 for h in headers),
        "have 16 bits a channel, which are read as 8": sum(h.reduced for h in headers),
    }
    return [f"{count} of {len(headers)} files {what}." for what, count in said.items() if count]


def _plan(headers: dict[str, Header], where: object, image_size: int | None, notes: list[str]) -> Plan:
    form = _common_form(Counter(h.form for h in headers.values()), notes)
    sizes = Counter(h.size for h in headers.values())
    if image_size is None:
        if len(sizes) > 1:
            raise _mixed_sizes(sizes, headers, where)
        return Plan(form, next(iter(sizes)))
    if set(sizes) != {(image_size, image_size)}:
        small = sum(min(h.size) < image_size for h in headers.values())
        enlarged = f" {small} of them had to be enlarged." if small else ""
        text = (
            f"images are scaled so that the shorter side is {image_size} (Lanczos) and cropped to the centre"
        )
        notes.append(f"{text} {image_size}x{image_size}.{enlarged}")
    return Plan(form, (image_size, image_size), image_size)


def _common_form(forms: Counter[str], notes: list[str]) -> str:
    """The form that holds all images, with a note where some must change."""
    if len(forms) == 1:
        return next(iter(forms))
    total = forms.total()
    if "colour" not in forms:
        notes.append(
            f"{forms['grey16']} of {total} images have 16 bit; the 8-bit ones become 16-bit ones too."
        )
        return "grey16"
    notes.append(f"{forms['colour']} of {total} images are in colour; the grey ones become RGB too.")
    if forms["grey16"]:
        notes.append(
            f"{forms['grey16']} of {total} images have 16 bit; beside colours they become 8-bit ones."
        )
    return "colour"


def _mixed_sizes(sizes: Counter[tuple[int, int]], headers: dict[str, Header], where: object) -> DataError:
    first = {header.size: name for name, header in reversed(headers.items())}
    kinds = [f"{w}x{h} ({count}, first {first[w, h]})" for (w, h), count in sizes.most_common()]
    message = f"the images have {len(sizes)} sizes: {listed(kinds)}."
    return DataError("E205", message, where=where, hint=f"--image-size {min(min(size) for size in sizes)}")


def _decode_all(paths: list[Path], plan: Plan, where: object) -> tuple[np.ndarray, list[str | None]]:
    """All pixels in one array, and for each file what was wrong with it, or None."""
    shape = (len(paths), *plan.shape)
    check_room(shape, plan.dtype, where)
    values = np.empty(shape, plan.dtype)

    def place(i: int) -> str | None:
        try:
            values[i] = decode(paths[i], plan)
        except Exception as error:  # a damaged file can break a decoder in any way
            return _reason(error)
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        return values, list(pool.map(place, range(len(paths))))


def _moved_up(values: np.ndarray, failed: Sequence[str | None]) -> np.ndarray:
    """The rows that did not fail, moved up within the same memory."""
    kept = [i for i, problem in enumerate(failed) if problem is None]
    for new, old in enumerate(kept):
        if new != old:
            values[new] = values[old]
    return values[: len(kept)]
