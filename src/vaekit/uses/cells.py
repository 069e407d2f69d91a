"""New cells in a column of a frame: in the column's own type, or in a wider one where that does not hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from vaekit.data.columns import spoken


def filled(series: Any, cells: Any, here: np.ndarray, form: str = "") -> Any:
    """A column with other cells in some places.

    Args:
        series: (N,) the column as it came, a pandas Series.
        cells: (N,) numbers, or a Series of the type that the column had in training; in `here` none is empty.
        here: (N,) true where cells are taken from it.
        form: How dates are written where the column holds words, as `strftime` says it; empty for ISO 8601.

    Returns:
        (N,) in the type that came, if that holds the cells; integers become real numbers where cells are not whole,
        numbers become words beside words, and what was all empty and of no type becomes what it was in training.

    Example:
        >>> import pandas as pd
        >>> filled(pd.Series([1, None], dtype="Int64"), np.array([0.0, 2.5]), np.array([False, True])).tolist()
        [1.0, 2.5]
    """
    import pandas as pd
    from pandas.api import types

    new = pd.Series(cells)[here]
    if not len(new):
        return series.copy()
    if series.isna().all() and here.all() and not (series.dtype.kind == "f" == new.dtype.kind):
        return new.set_axis(series.index)
    if isinstance(series.dtype, pd.CategoricalDtype):
        unknown = [value for value in pd.unique(new) if value not in series.cat.categories]
        return _put(series, new, here, series.cat.add_categories(unknown).dtype)
    if types.is_string_dtype(series.dropna()):
        return _put(series, _words(new, form), here, series.dtype)
    if series.dtype == object:
        return _put(series, new, here, series.dtype)
    if series.dtype.kind in "Mm":
        return _put(series, _zoned(new, getattr(series.dtype, "tz", None)), here, series.dtype)
    numbers = pd.to_numeric(new.astype(object), errors="coerce")
    if numbers.isna().any():
        return _put(_words(series, form), _words(new, form), here, new.dtype)
    return _put(
        series, numbers, here, next(dtype for dtype in _wider(series.dtype) if _holds(dtype, numbers))
    )


def _put(series: Any, new: Any, here: np.ndarray, dtype: Any) -> Any:
    made = series.astype(dtype)
    made[here] = new.astype(dtype).array
    return made


def _words(cells: Any, form: str) -> Any:
    """Cells as people write them: whole numbers without a point, days without a time."""
    if cells.dtype.kind == "M":
        days = (cells.dropna().dt.normalize() == cells.dropna()).all()
        return cells.dt.strftime(form or ("%Y-%m-%d" if days else "%Y-%m-%dT%H:%M:%S.%f%z"))
    return cells.astype(object).map(spoken, na_action="ignore")


def _zoned(cells: Any, zone: Any) -> Any:
    """Dates in a time zone, or in none; those of none are in UTC."""
    known = getattr(cells.dtype, "tz", None)
    if (zone is None) == (known is None):
        return cells
    return (
        cells.dt.tz_localize("UTC").dt.tz_convert(zone)
        if known is None
        else cells.dt.tz_convert("UTC").dt.tz_localize(None)
    )


def _wider(dtype: Any) -> list[Any]:
    """A type of numbers, and wider ones of the same make; the last holds every number."""
    import pandas as pd

    if isinstance(dtype, np.dtype):
        return [dtype, np.dtype(np.float64)]
    whole, real = (
        ("int64[pyarrow]", "double[pyarrow]") if isinstance(dtype, pd.ArrowDtype) else ("Int64", "Float64")
    )
    return [dtype, real] if dtype.kind == "f" else [dtype, whole, real]


def _holds(dtype: Any, numbers: Any) -> bool:
    """Whether a type has these numbers: integers have them or not, real numbers may be rounded."""
    import pandas as pd

    real = pd.api.types.is_float_dtype(dtype)
    try:
        with np.errstate(over="ignore"):
            kept = numbers.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return False
    return bool(np.isfinite(kept.astype(np.float64)).all() if real else (kept == numbers).all())
