"""Tables that come typed: Parquet and Excel files, and the frames of pandas, polars and pyarrow."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from vaekit.data.cell_types import MISSING
from vaekit.data.checks import check_room, listed
from vaekit.data.csv_files import column_names, read_csv
from vaekit.data.loaded import TableSource
from vaekit.errors import DataError, ResourceError, UsageError, nearest

TEXTS = (".csv", ".tsv")
PACKINGS = (".gz", ".bz2", ".xz")
SUFFIXES = (*TEXTS, ".parquet", ".xlsx")
AGAIN = "copy or write the file again"


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is a table.

    Example:
        >>> is_table(Path("a.csv.gz")), is_table(Path("a.txt"))
        (True, False)
    """
    name = path.name.lower()
    name = next((name.removesuffix(end) for end in PACKINGS if name.endswith(end)), name)
    return name.endswith(TEXTS if name != path.name.lower() else SUFFIXES)


def read_table(path: Path) -> TableSource:
    """A file that holds a table.

    Args:
        path: A .csv, .tsv (packed too), .parquet or .xlsx file.

    Raises:
        DataError: E204 damaged, and as in `read_csv` and `from_frame`.
        ResourceError: E404, the package that reads such files is not installed.
    """
    readers = {".parquet": _read_parquet, ".xlsx": _read_excel}
    return readers.get(path.suffix.lower(), read_csv)(path)


def with_labels(source: TableSource, labels: str | None) -> TableSource:
    """The table, with the columns named that are its labels.

    Args:
        source: The table.
        labels: The name of a column, or several with commas between them.

    Raises:
        DataError: E214, there is no such column.
    """
    if labels is not None:
        known = list(source.frame.columns)
        names = [labels] if labels in known else [name.strip() for name in labels.split(",")]
        strange = next((name for name in names if name not in known), None)
        if strange is not None:
            message = f"there is no column {strange!r}; {nearest(strange, known)}"
            raise DataError("E214", message, where=source.path)
        source.label_columns = tuple(dict.fromkeys(names))
    return source


def frame_of(source: Any) -> Any | None:
    """The pandas frame of a table in memory, or None if this is no table.

    Args:
        source: A DataFrame of pandas or polars, a Table of pyarrow, or anything else.
    """
    package, name = type(source).__module__.split(".")[0], type(source).__name__
    if package == "pandas" and name == "DataFrame":
        return source
    if (package, name) == ("pyarrow", "Table"):
        return source.to_pandas()
    if (package, name) != ("polars", "DataFrame"):
        return None
    import pandas

    return pandas.DataFrame(source.to_dict(as_series=False))


def from_frame(frame: Any, path: Path | str = "") -> TableSource:
    """A frame of pandas as a table; the frame stays as it is.

    Args:
        frame: (N, D) its index is left out.
        path: Where it came from.

    Raises:
        DataError: E202 no rows or columns, E206 an infinite number, E212 names in several levels, E215 a column of
            mixed or unusable values, E219 two columns of one name.

    Example:
        >>> import pandas
        >>> len(from_frame(pandas.DataFrame({"a": [1, 2]})))
        2
    """
    import pandas

    if frame.columns.nlevels > 1:
        hint = "frame.columns = ['_'.join(map(str, name)) for name in frame.columns]"
        raise DataError("E212", "the names of the columns have several levels.", where=path, hint=hint)
    if 0 in frame.shape:
        raise DataError("E202", f"there is nothing in this table: its shape is {frame.shape}.", where=path)
    notes: list[str] = []
    if any(name is not None for name in frame.index.names) or not pandas.api.types.is_integer_dtype(
        frame.index
    ):
        notes.append("the index is no column and is left out; reset_index() makes it one.")
    names = column_names(frame.columns, path, notes)
    table = TableSource(None, path=str(path), notes=notes)
    columns = {name: _column(frame.iloc[:, i], name, table) for i, name in enumerate(names)}
    table.frame = pandas.DataFrame(columns, copy=False)
    return table


def _column(series: Any, name: str, table: TableSource) -> Any:
    """A column as one of the types that a table may hold."""
    import pandas
    from pandas.api import types

    series = series.reset_index(drop=True)
    if isinstance(series.dtype, pandas.SparseDtype):
        series = series.sparse.to_dense()
    if series.dtype == object:
        series = _plain(series, name, table)
    dtype = series.dtype
    times = types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype)
    known = times or types.is_bool_dtype(dtype) or types.is_string_dtype(dtype)
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype) and not types.is_bool_dtype(dtype):
        _check_finite(series, name, table)
    elif not known and not isinstance(dtype, pandas.CategoricalDtype) and not types.is_object_dtype(dtype):
        hint = "make numbers, dates or text of it, or leave the column out"
        message = f"column {name!r} holds {dtype}, which is neither numbers, dates nor text."
        raise DataError("E215", message, where=table.path, hint=hint)
    return series


def _check_finite(series: Any, name: str, table: TableSource) -> None:
    bad = np.flatnonzero(np.isinf(series.to_numpy(dtype=np.float64, na_value=np.nan)))
    if len(bad):
        message = f"{len(bad)} values of column {name!r} are infinite, the first in row {bad[0]}."
        raise DataError("E206", message, where=table.path, hint="leave those rows out, or empty the cells")


def _plain(series: Any, name: str, table: TableSource) -> Any:
    """A column of Python objects as the numbers, truth values, dates or words they are.

    Raises:
        DataError: E215, they are of several types or of none of these.
    """
    import pandas

    found = pandas.api.types.infer_dtype(series, skipna=True)
    holes = series.isna().to_numpy()
    if found in ("string", "boolean") and holes.any():
        series = series.where(~holes, None)
    if found in ("string", "boolean"):
        return series.infer_objects()
    if found in ("integer", "floating", "mixed-integer-float", "decimal", "empty"):
        return _numeric(series, holes, whole=found == "integer")
    if found in ("date", "datetime", "datetime64"):
        if found == "date":
            table.formats[name] = "%Y-%m-%d"
        return _dates(series)
    raise _mixed(series, holes, name, table)


def _numeric(series: Any, holes: np.ndarray, whole: bool) -> Any:
    if whole and not holes.any():
        try:
            return series.astype(np.int64)
        except OverflowError:  # as large as no int64 is
            return series.astype(np.float64)
    values = np.full(len(series), np.nan)
    values[~holes] = series[~holes].astype(np.float64)
    return type(series)(values)


def _dates(series: Any) -> Any:
    import pandas

    try:
        return pandas.to_datetime(series)
    except ValueError:  # several offsets from UTC
        return pandas.to_datetime(series, utc=True)


def _mixed(series: Any, holes: np.ndarray, name: str, table: TableSource) -> DataError:
    """E215 with the first value of the rarest type."""
    kinds = [None if hole else type(value) for value, hole in zip(series, holes, strict=True)]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds) if kind is not None}
    ranked = sorted(counts, key=lambda kind: counts[kind])
    rarest, usual = ranked[0], ranked[-1]
    row = kinds.index(rarest)
    shown = repr(series[row])[:40]
    beside = f", most others {usual.__name__}" if len(counts) > 1 else ""
    message = f"column {name!r} holds {rarest.__name__} in row {row} ({shown}){beside}."
    where = f"{table.path}, row {row}, column {name!r}" if table.path else f"row {row}, column {name!r}"
    hint = "make every cell a number, a date or text, or leave the column out"
    return DataError("E215", message, where=where, hint=hint)


def _read_parquet(path: Path) -> TableSource:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise _missing_package("pyarrow", "parquet", path) from None
    try:
        file = parquet.ParquetFile(path)
        nested = [field.name for field in file.schema_arrow if pyarrow.types.is_nested(field.type)]
        if nested:
            hint = "spread them over columns of their own, or leave them out"
            message = f"column {listed(nested)} holds lists or records, not single values."
            raise DataError("E215", message, where=path, hint=hint)
        check_room((file.metadata.num_rows, file.metadata.num_columns), np.dtype(np.float64), path)
        return from_frame(file.read().to_pandas(), path)
    except (pyarrow.ArrowException, OSError, EOFError) as error:
        raise _damaged(path, error) from None


def _read_excel(path: Path) -> TableSource:
    """The first sheet, the names of its columns in its first row."""
    import pandas

    try:
        import openpyxl  # noqa: F401  # pandas needs it
    except ImportError:
        raise _missing_package("openpyxl", "excel", path) from None
    try:
        with zipfile.ZipFile(path) as archive:
            check_room((sum(info.file_size for info in archive.infolist()),), np.dtype(np.uint8), path)
        with warnings.catch_warnings():  # about looks that are not read
            warnings.simplefilter("ignore")
            with pandas.ExcelFile(path, engine="openpyxl") as book:
                sheets = book.sheet_names
                cells = book.parse(0, header=None, dtype=object, keep_default_na=False, na_values=[""])
    except DataError:
        raise
    except Exception as error:  # a damaged workbook can break its parser in any way
        raise _damaged(path, error) from None
    source = _from_sheet(cells, path)
    if len(sheets) > 1:
        source.notes.append(f"the sheet {sheets[0]} is read, of {listed(sheets)}.")
    return source


def _from_sheet(cells: Any, path: Path) -> TableSource:
    if len(cells) < 2:
        raise DataError("E202", "there are no rows in the first sheet.", where=path)
    names = ["" if cell != cell or cell is None else cell for cell in cells.iloc[0]]
    missing = {word.decode() for word in MISSING}
    rows = cells.iloc[1:].reset_index(drop=True)
    rows = rows.map(lambda cell: None if isinstance(cell, str) and cell.strip() in missing else cell)
    return from_frame(rows.astype(object).set_axis(names, axis=1), path)


def _missing_package(package: str, extra: str, path: Path) -> ResourceError:
    message = f"{path.suffix} files are read with {package}, which is not installed."
    return ResourceError("E404", message, where=path, hint=f"pip install 'vaekit[{extra}]'")


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error).split("\n")[0][:100] or type(error).__name__
    return DataError("E204", f"this file is damaged or cut short ({reason}).", where=path, hint=AGAIN)


def refuse_options(key: str | None, labels: Any, image_size: int | None) -> None:
    """Refuse what does not go with a table.

    Raises:
        UsageError: E103, a key, a size of images, or labels that name no column.
    """
    if key is not None:
        raise UsageError("E103", "--key chooses an array of a .npz file, and this is a table.")
    if image_size is not None:
        raise UsageError("E103", "--image-size scales image files, and this is a table.")
    if labels == "folders" if isinstance(labels, str) else labels is not None:
        raise UsageError("E103", "the labels of a table stand in it: name a column.")
