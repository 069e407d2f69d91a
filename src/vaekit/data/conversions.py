"""Numbers, dates and time spans of a pandas Series as float64 with NaN in the holes, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from vaekit.errors import DataError

NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def as_numbers(series: Any, unit: int, where: object = "", spans: bool = False) -> np.ndarray:
    """A Series of numbers, dates or time spans as (N,) float64 with NaN in its holes.

    Args:
        series: A pandas Series.
        unit: Nanoseconds of a step for dates and time spans, else 0.
        where: What to call the table in a message.
        spans: Whether they are time spans and not dates.

    Raises:
        DataError: E216, there is something else in it (the first row is named).

    Example:
        >>> import pandas as pd
        >>> as_numbers(pd.Series(pd.to_datetime(["1970-01-03", None])), 86_400_000_000_000)
        array([ 2., nan])
    """
    from pandas.api import types

    if series.isna().all():
        return np.full(len(series), np.nan)
    wanted = "numbers" if not unit else "time spans" if spans else "dates"
    if wanted != _holds(series, types):
        series = _parsed(series, wanted, where, types)
    if not unit:
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    found, size = ticks(series)
    if unit >= size:
        per = unit // size
        steps = found // per + (found % per) / per
    else:
        steps = found * float(size // unit)
    return np.where(series.isna().to_numpy(), np.nan, steps)


def ticks(series: Any) -> tuple[np.ndarray, int]:
    """Dates or time spans as whole ticks of their own resolution, (N,) int64, and the nanoseconds of a tick.

    In nanoseconds, 64 bits end in the year 2262.
    """
    plain = series.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(series.dt, "tz", None) else series
    values = plain.astype(getattr(plain.dtype, "numpy_dtype", plain.dtype)).to_numpy()
    return values.view(np.int64), NANOSECONDS[np.datetime_data(values.dtype)[0]]


def _holds(series: Any, types: Any) -> str:
    if types.is_datetime64_any_dtype(series):
        return "dates"
    if types.is_timedelta64_dtype(series) or getattr(series.dtype, "kind", "") == "m":
        return "time spans"
    return "numbers" if types.is_numeric_dtype(series) else "other things"


def _parsed(series: Any, wanted: str, where: object, types: Any) -> Any:
    """Words as the numbers, dates (ISO 8601) or time spans that they spell."""
    import pandas as pd

    bad = series.notna()
    if _holds(series, types) == "other things":
        words = series.astype(object)
        if wanted == "numbers":
            found = pd.to_numeric(words, errors="coerce")
        elif wanted == "dates":
            found = pd.to_datetime(words, errors="coerce", format="ISO8601")
        else:
            found = pd.to_timedelta(words, errors="coerce")
        bad &= found.isna()
        if not bad.any():
            return found
    row = int(np.flatnonzero(bad.to_numpy())[0])
    message = f"column {series.name!r}, row {row}: {wanted} are expected, not {str(series.iloc[row])[:40]!r}."
    raise DataError(
        "E216",
        message,
        where=where,
        hint="mend the cell or empty it, or --set column.NAME=category when training",
    )


def read_again(series: Any, read_as: str, form: str) -> Any:
    """Dates read in one form as another one has them, where it fits each: 3/4/2020 may be in March or in April.

    Args:
        series: Dates.
        read_as: How they were read, as `strftime` says it.
        form: How training's were written.

    Example:
        >>> import pandas as pd
        >>> read_again(pd.Series(pd.to_datetime(["2020-04-03"])), "%d/%m/%Y", "%m/%d/%Y").dt.month.tolist()
        [3]
    """
    import pandas as pd

    again = pd.to_datetime(series.dt.strftime(read_as), format=form, errors="coerce")
    return series if (again.isna() & series.notna()).any() else again


def from_numbers(codes: np.ndarray, dtype: str, unit: int, name: str) -> Any:
    """(N,) float64 with NaN in the holes as a Series of a type: the inverse of `as_numbers`."""
    import pandas as pd

    found = pd.api.types.pandas_dtype(dtype)
    if unit:
        return _times(codes, found, unit, name)
    if not pd.api.types.is_integer_dtype(found):
        return pd.Series(codes, name=name).astype(found)
    holes = np.isnan(codes)
    whole = pd.Series(_whole(np.where(holes, 0, codes), getattr(found, "numpy_dtype", found)), name=name)
    if not holes.any():
        return whole.astype(found)
    if isinstance(found, np.dtype):  # numpy has no integers with holes
        found = dtype.capitalize().replace("Uint", "UInt")
    return whole.astype(found).mask(pd.Series(holes))


def _whole(codes: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Whole numbers of a type; its largest ones are no float64, which goes on to the next above."""
    range_ = np.iinfo(dtype)
    high = float(range_.max)
    return np.rint(codes).clip(range_.min, np.nextafter(high, 0) if high > range_.max else high).astype(dtype)


def _times(codes: np.ndarray, dtype: Any, unit: int, name: str) -> Any:
    import pandas as pd

    holes = np.isnan(codes)
    codes = np.where(holes, 0.0, codes)
    kind = "timedelta64" if dtype.kind == "m" else "datetime64"
    step = getattr(dtype, "unit", None) or np.datetime_data(getattr(dtype, "numpy_dtype", dtype))[0]
    size, whole = NANOSECONDS[step], np.floor(codes)
    if unit >= size:  # whole steps in whole numbers: float64 ends at 2^53
        per = unit // size
        found = whole.astype(np.int64) * per + np.rint((codes - whole) * per).astype(np.int64)
    else:
        found = np.rint(codes / (size // unit)).astype(np.int64)
    values = found.view(f"{kind}[{step}]")
    values[holes] = np.array("NaT", dtype=values.dtype)
    series = pd.Series(values, name=name)
    zone = getattr(dtype, "tz", None)
    return series.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else series.astype(dtype)
