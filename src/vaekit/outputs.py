"""Results as files: the suffix of the path says which form."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaekit import files
from vaekit.data import Kind, Parts, Table
from vaekit.data.sequences import Sequences
from vaekit.errors import DataError, ResourceError, UsageError, VaekitError

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tiff", ".bmp")
TABLES = (".csv", ".parquet")
TEXTS = (".txt", ".smi")
OURS = re.compile(r"\d{5,}\.png|values\.npy|MANIFEST\.json")  # names in a folder of items
SIDE = 200  # pixels of the longer side of a picture that is to be looked at by itself, at least
LINE = 22  # pixels of a line of words over a picture


def write_items(path: Path, values: Any, kind: Kind, x: Any = None, columns: int | None = None) -> Path:
    """Write items of a kind: a grid of pictures, arrays, a table, or a folder with a file for each.

    Args:
        path: Where; its suffix says what.
        values: (N, …) items as users know them.
        kind: Their kind.
        x: The same in the model's space, for pictures.
        columns: Pictures in a row of a grid; about a square by default.

    Raises:
        UsageError: The kind cannot be written so.
    """
    suffix = path.suffix.lower()
    if isinstance(kind, Table):
        return write_frame(path, values, kind)
    if isinstance(kind, Parts):
        return write_parts(path, values)
    if isinstance(kind, Sequences):
        return write_lines(path, values)
    if suffix in PICTURES:
        return files.write(path, picture_bytes(grid(_pictures(kind, x, path), columns), suffix))
    if suffix in (".npy", ".npz"):
        return write_arrays(path, {"values": values})
    if suffix in TABLES:
        flat = values.reshape(len(values), -1)
        return write_table(path, {f"x{i}": flat[:, i] for i in range(flat.shape[1])})
    if suffix:
        known = ", ".join((*PICTURES, ".npy", ".npz", *TABLES))
        raise UsageError(
            "E107", f"--out {path}: {suffix} is not a form that vaekit writes.", hint=f"one of {known}"
        )
    return _write_folder(path, values, kind, x)


def write_frame(path: Path, frame: Any, kind: Table) -> Path:
    """Write a table as .csv, .tsv, .parquet, .xlsx, or .npz with an array for each column.

    Raises:
        UsageError: The suffix is another one.
        ResourceError: A package that the form needs is not installed.
    """
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        text = kind.written(frame).to_csv(
            index=False, sep="\t" if suffix == ".tsv" else ",", lineterminator="\n"
        )
        return files.write(path, text)
    if suffix == ".npz":
        return write_arrays(path, {str(name): _plain_array(frame[name]) for name in frame})
    if suffix == ".parquet":
        _pyarrow()
        return files.write(path, frame.to_parquet(index=False))
    if suffix == ".xlsx":
        return files.write(path, _excel(frame))
    hint = "one of .csv, .tsv, .parquet, .xlsx, .npz"
    raise UsageError("E107", f"--out {path}: a table is not written as {suffix or 'a folder'}.", hint=hint)


def write_blocks(path: Path, blocks: Iterable[Any], kind: Table) -> Path:
    """Write a table that comes in blocks of rows, one after the other where the form allows it: .csv, .tsv, .parquet.

    Args:
        path: Where; its suffix says what, as in `write_frame`.
        blocks: DataFrames of the same columns, at least one.
        kind: The table.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        with files.writing(path) as file:
            for i, frame in enumerate(blocks):
                text = kind.written(frame).to_csv(
                    index=False, header=i == 0, sep="\t" if suffix == ".tsv" else ",", lineterminator="\n"
                )
                file.write(text.encode())
        return path
    if suffix == ".parquet":
        return _write_parquet_blocks(path, blocks)
    if suffix not in (".xlsx", ".npz"):
        return write_frame(path, pd.DataFrame(), kind)  # which says what could be written
    return write_frame(path, pd.concat(list(blocks), ignore_index=True), kind)


def _write_parquet_blocks(path: Path, blocks: Iterable[Any]) -> Path:
    parquet = _pyarrow()
    import pyarrow

    with files.writing(path) as file, contextlib.ExitStack() as stack:
        writer = None
        for frame in blocks:
            if writer is None:
                schema = pyarrow.Schema.from_pandas(frame, preserve_index=False)
                writer = stack.enter_context(parquet.ParquetWriter(file, schema))
            writer.write_table(pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False))
    return path


def write_parts(path: Path, values: Mapping[str, Any]) -> Path:
    """Write items of several parts as .npz, with an array for each.

    Raises:
        UsageError: The suffix is another one.
    """
    if path.suffix.lower() != ".npz":
        raise UsageError(
            "E107", f"--out {path}: items of several parts are written as .npz.", hint="--out parts.npz"
        )
    arrays = {
        name: np.array(part, dtype=np.str_) if isinstance(part, list) else part
        for name, part in values.items()
    }
    return write_arrays(path, arrays)


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    """Write lines of text as .txt or .smi, as the column `text` of .csv or .parquet, or as an array in .npz or .npy.

    Raises:
        UsageError: The suffix is another one, or a line of .txt would be two.
    """
    suffix = path.suffix.lower()
    if suffix in TEXTS:
        if any("\n" in line or "\r" in line for line in lines):
            message = f"--out {path}: there are ends of lines within items, which {suffix} cannot hold."
            raise UsageError("E107", message, hint="--out with .csv")
        return files.write(path, "".join(f"{line}\n" for line in lines))
    if suffix in TABLES:
        return write_table(path, {"text": lines})
    if suffix in (".npz", ".npy"):
        return write_arrays(path, {"values": np.array(lines, dtype=np.str_)})
    hint = f"one of {', '.join((*TEXTS, *TABLES, '.npz', '.npy'))}"
    raise UsageError("E107", f"--out {path}: text is not written as {suffix or 'a folder'}.", hint=hint)


def _plain_array(series: Any) -> np.ndarray:
    """A column as an array without objects: words as text, holes among them as empty ones."""
    if series.dtype.kind in "biufMm" and not hasattr(series.dtype, "tz"):
        return series.to_numpy()
    return series.astype(object).where(series.notna(), "").astype(str).to_numpy().astype("U")


def _excel(frame: Any) -> bytes:
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        hint = "pip install 'vaekit[excel]', or write .csv"
        raise ResourceError("E404", "Excel files need the package openpyxl.", hint=hint) from None
    buffer = io.BytesIO()
    zoned = [name for name in frame if hasattr(frame[name].dtype, "tz")]  # Excel knows no time zones
    frame.assign(**{name: frame[name].dt.tz_localize(None) for name in zoned}).to_excel(buffer, index=False)
    return buffer.getvalue()


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write .npz (named arrays) or .npy (the first of them)."""
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npy":
        np.save(buffer, next(iter(arrays.values())), allow_pickle=False)
    else:
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return files.write(path, buffer.getvalue())


def write_table(path: Path, table: Mapping[str, Sequence[Any] | np.ndarray]) -> Path:
    """Write columns as .csv or .parquet.

    Raises:
        ResourceError: Parquet needs pyarrow, which is not installed.
    """
    if path.suffix.lower() == ".parquet":
        return files.write(path, _parquet(table))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*(_plain(column) for column in table.values()), strict=True))
    return files.write(path, text.getvalue())


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Read numbers that `write_table` or `write_arrays` wrote, by column or array name.

    Raises:
        DataError: There is no such file, or it is damaged.
    """
    if not path.is_file():
        raise DataError("E201", "there is no such file.", where=path)
    try:
        return _read_table(path, path.suffix.lower())
    except VaekitError:
        raise
    except (ValueError, IndexError, EOFError, OSError, csv.Error, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).split("\n")[0][:100] or type(error).__name__
        raise DataError("E204", f"this is not a table that can be read ({reason}).", where=path) from error


def _read_table(path: Path, suffix: str) -> dict[str, np.ndarray]:
    if suffix == ".npz":
        with open(path, "rb") as binary, np.load(binary, allow_pickle=False) as arrays:
            return dict(arrays)
    if suffix == ".npy":
        return {"mean": np.load(path, allow_pickle=False)}
    if suffix == ".parquet":
        table = _pyarrow().read_table(path)
        return {name: table[name].to_numpy() for name in table.column_names}
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    return {name: np.array([row[i] for row in rows]) for i, name in enumerate(header)}


def grid(pictures: np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Pictures side by side: (N, H, W[, C]) uint8 → one (height, width, 3) picture on white.

    Small ones are enlarged by whole factors, so that a pixel stays a pixel.
    """
    if pictures.ndim == 3:
        pictures = np.repeat(pictures[..., None], 3, axis=-1)  # (N, H, W, 3)
    pictures = pictures[..., :3] if pictures.shape[-1] >= 3 else np.repeat(pictures[..., :1], 3, axis=-1)
    factor = max(1, round(64 / max(pictures.shape[1:3])))
    pictures = pictures.repeat(factor, axis=1).repeat(factor, axis=2)
    columns = columns or int(np.ceil(np.sqrt(len(pictures))))
    lines = int(np.ceil(len(pictures) / columns))
    height, width = pictures.shape[1] + gap, pictures.shape[2] + gap
    sheet = np.full((lines * height + gap, columns * width + gap, 3), 255, dtype=np.uint8)
    for i, picture in enumerate(pictures):
        top, left = (i // columns) * height + gap, (i % columns) * width + gap
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def picture_bytes(picture: np.ndarray, suffix: str = ".png") -> bytes:
    """One picture (H, W[, C]) as a file's content."""
    from PIL import Image

    buffer = io.BytesIO()
    form = {".jpg": "JPEG", ".jpeg": "JPEG", ".tiff": "TIFF"}.get(suffix, suffix[1:].upper())
    Image.fromarray(picture).save(buffer, format=form)
    return buffer.getvalue()


def _pictures(kind: Kind, x: Any, path: Path) -> np.ndarray:
    own = getattr(kind, "picture", None)
    if own is None or x is None:
        hint = "--out with .npz, .npy, .csv or .parquet"
        raise UsageError("E107", f"{kind.name} cannot be drawn as {path.suffix}.", where=path, hint=hint)
    return own(x)


def _write_folder(path: Path, values: np.ndarray, kind: Kind, x: Any) -> Path:
    """A file for each picture, or one array where the kind has no files of its own."""
    refuse_others(path)
    with files.folder(path) as place:
        if getattr(kind, "picture", None) is None or x is None:
            write_arrays(place / "values.npy", {"values": values})
        else:
            deep = values.dtype == np.uint16
            for i, picture in enumerate(values if deep else _pictures(kind, x, path)):
                files.write(place / f"{i:05d}.png", picture_bytes(picture))
    return path


def write_sheets(
    path: Path, sheets: Mapping[int, np.ndarray], captions: Sequence[str], names: Sequence[str] | None = None
) -> Path:
    """A folder with a file for each row, in which some pictures stand side by side.

    Args:
        path: The folder; one that was written so before is replaced.
        sheets: Number of the row → (n, H, W[, C]) uint8.
        captions: (n,) what each picture shows.
        names: (N,) names of the files that rows come from: theirs are like them, a/7.jpg → a-7.png.
    """
    before = _listed(path)
    refuse_others(path, lambda name: OURS.fullmatch(name) or name in before)
    with files.folder(path) as place:
        for row, name in zip(sheets, sheet_names(list(sheets), names), strict=True):
            files.write(place / name, picture_bytes(sheet(sheets[row], captions)))
    return path


def _listed(path: Path) -> set[str]:
    """The pictures in a folder that its manifest names: we wrote them."""
    manifest = path / files.MANIFEST
    known = files.read_json(manifest) if manifest.is_file() else {}
    named = known.get("files") if isinstance(known, dict) else None
    return {str(name) for name in named or () if str(name).endswith(".png")}


def sheet_names(rows: Sequence[int], names: Sequence[str] | None) -> list[str]:
    """A name for the file of each row: its number, or like that of the file it comes from.

    Example:
        >>> sheet_names([0, 2], None), sheet_names([0, 2], ["a/7.jpg", "b/7.jpg", "a/7.png"])
        (['00000.png', '00002.png'], ['a-7.png', 'a-7-00002.png'])
    """
    if names is None:
        return [f"{row:05d}.png" for row in rows]
    found: list[str] = []
    for row in rows:
        stem = names[row].rsplit(".", 1)[0].replace("/", "-")
        found.append(f"{stem}-{row:05d}.png" if f"{stem}.png" in found else f"{stem}.png")
    return found


def sheet(pictures: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Pictures side by side under their captions: (n, H, W[, C]) uint8 → (height, width, 3), small ones enlarged."""
    return captioned(grid(enlarged(pictures, SIDE), len(pictures), gap=8), captions, gap=8, above=(6, LINE))


def enlarged(pictures: np.ndarray, side: int = 64) -> np.ndarray:
    """Pictures (N, H, W[, C]) by a whole factor, so that the longer side has so many pixels or more."""
    factor = max(1, -(-side // max(pictures.shape[1:3])))
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def captioned(drawn: np.ndarray, captions: Sequence[str], gap: int, above: tuple[int, int]) -> np.ndarray:
    """A grid (height, width, 3) with words over each of its columns.

    Args:
        drawn: As `grid` gives it.
        captions: One for each column.
        gap: Of the grid.
        above: Pixels from the edge to the words, and in all from the edge to the grid.
    """
    from PIL import Image, ImageDraw

    top, height = above
    whole = Image.fromarray(np.concatenate([np.full((height, drawn.shape[1], 3), 255, np.uint8), drawn]))
    step = (drawn.shape[1] - gap) // len(captions)
    for place, words in enumerate(captions):
        ImageDraw.Draw(whole).text((gap + place * step, top), words, fill="black")
    return np.asarray(whole)


def refuse_others(path: Path, own: Callable[[str], object] = OURS.fullmatch) -> None:
    """A folder is replaced only if there is nothing in it but what was written so before.

    Args:
        path: The folder.
        own: Whether a name is one of those.

    Raises:
        UsageError: E107, there is something else.
    """
    if not path.exists():
        return
    names = [entry.name for entry in path.iterdir()] if path.is_dir() else [path.name]
    others = [name for name in names if not own(name)]
    if others:
        message = f"there is something else here: {others[0]}; nothing was written."
        raise UsageError("E107", message, where=path, hint="a new folder, or a file with a known suffix")


def _parquet(table: Mapping[str, Any]) -> bytes:
    parquet = _pyarrow()
    import pyarrow

    buffer = pyarrow.BufferOutputStream()
    parquet.write_table(
        pyarrow.table({name: pyarrow.array(_plain(column)) for name, column in table.items()}), buffer
    )
    return buffer.getvalue().to_pybytes()


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        hint = "pip install 'vaekit[parquet]', or write .csv"
        raise ResourceError("E404", "Parquet needs the package pyarrow.", hint=hint) from None
    return pyarrow.parquet


def _plain(column: Any) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else list(column)
