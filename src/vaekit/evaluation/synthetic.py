"""How good synthetic rows of a table are, beside rows that the model has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vaekit.errors import DataError, nearest
from vaekit.evaluation.tables import compare

if TYPE_CHECKING:
    import pandas as pd

MOST = 50_000  # rows that a classifier is trained on
MANY = 200  # categories above which a classifier takes a column as numbers of its categories


@dataclass(frozen=True)
class Quality:
    """Synthetic rows beside real ones.

    Attributes:
        shape_error: Of single columns, in the mean; 0 for the real table itself.
        trend_error: Of pairs of columns; None where there is one column.
        told_apart: AUC of a classifier that tells synthetic from real rows; 0.5 if it cannot.
        learnt: What a model learnt from synthetic rows reaches on real ones in predicting the target: AUC of a category
            (the mean over its classes), R² of a number; None without a target.
    """

    shape_error: float
    trend_error: float | None
    told_apart: float
    learnt: float | None


def quality(real: pd.DataFrame, synthetic: pd.DataFrame, target: str | None = None, seed: int = 0) -> Quality:
    """Figures of how like real rows the synthetic ones are, and of what can be learnt from them.

    Args:
        real: Rows that the model has not seen.
        synthetic: Rows that it gave; about as many.
        target: A column to predict.
        seed: Of the halves that the two-sample classifier is trained and measured on.

    Raises:
        DataError: E216 the columns differ or there is no target, E202 a table is empty.

    Source: Lopez-Paz, Oquab (2017), arXiv:1610.06545 (classifier two-sample tests); Esteban, Hyland, Rätsch (2017),
        arXiv:1706.02633 (train on synthetic, test on real).

    Example:
        >>> import pandas as pd
        >>> x = np.random.default_rng(0).normal(size=(400, 1))
        >>> rows = pd.DataFrame({"a": x[:, 0], "b": x[:, 0] > 0})
        >>> found = quality(rows[:200], rows[200:], target="b")
        >>> found.learnt, 0.3 < found.told_apart < 0.7
        (1.0, True)
    """
    found = compare(real, synthetic)
    synthetic = synthetic[list(real.columns)]
    learnt = None if target is None else learnt_from(synthetic, real, target)
    return Quality(found.shape_error, found.trend_error, told_apart(synthetic, real, seed), learnt)


def told_apart(synthetic: pd.DataFrame, real: pd.DataFrame, seed: int = 0) -> float:
    """AUC of telling synthetic from real rows by gradient boosting; trained on one half, measured on the other."""
    import pandas as pd

    n = min(len(synthetic), len(real), MOST)
    random = np.random.default_rng(seed)
    some = [frame.iloc[random.permutation(len(frame))[:n]] for frame in (synthetic, real)]
    both = pd.concat(_readable(some), ignore_index=True)
    answer = np.arange(len(both)) < n
    train, test = np.array_split(random.permutation(len(both)), 2)
    return _reached(both.iloc[train], answer[train], both.iloc[test], answer[test])


def learnt_from(train: pd.DataFrame, test: pd.DataFrame, target: str) -> float:
    """What gradient boosting on one table reaches on another in predicting a column: AUC, or R² of numbers; NaN where
    there is nothing to learn.

    Raises:
        DataError: E216, there is no such column.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if target not in test:
        raise DataError("E216", f"there is no column {target!r}; {nearest(target, map(str, test.columns))}")
    train, test = (frame.dropna(subset=[target]) for frame in (train, test))
    x, test_x = _readable([frame.drop(columns=target) for frame in (train.head(MOST), test)])
    y, test_y = train.head(MOST)[target], test[target]
    if is_numeric_dtype(test_y) and not is_bool_dtype(test_y):
        return _reached_number(x, y.to_numpy(float), test_x, test_y.to_numpy(float))
    y, test_y = (np.asarray(part.astype(str)) for part in (y, test_y))
    classes = np.unique(test_y)
    if len(classes) == 2:
        classes = classes[1:]
    reached = [_reached(x, y == one, test_x, test_y == one) for one in classes]
    return float(np.mean(reached))


def _readable(frames: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """Numbers as floats, dates as numbers, each other column with one set of categories for all tables."""
    import pandas as pd
    from pandas.api import types

    found = [frame.copy() for frame in frames]
    for name in frames[0]:
        column = frames[0][name]
        if types.is_datetime64_any_dtype(column) or types.is_timedelta64_dtype(column):
            for frame in found:
                frame[name] = frame[name].astype("int64").astype(float)
        elif types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
            for frame in found:
                frame[name] = pd.to_numeric(frame[name], errors="coerce").astype(float)
        else:
            known = pd.unique(
                pd.concat([frame[name].astype(object) for frame in frames]).dropna().astype(str)
            )
            for frame in found:
                text = frame[name].astype(object).where(frame[name].notna(), None)
                places = pd.Categorical([None if v is None else str(v) for v in text], categories=known)
                frame[name] = (
                    places if len(known) <= MANY else pd.Series(places.codes, index=frame.index).astype(float)
                )
    return found


def _reached(x: pd.DataFrame, y: np.ndarray, test_x: pd.DataFrame, test_y: np.ndarray) -> float:
    """AUC on the test rows; NaN where either part has one class only."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    if y.min() == y.max() or test_y.min() == test_y.max():
        return float("nan")
    model: Any = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0).fit(x, y)
    return float(roc_auc_score(test_y, model.predict_proba(test_x)[:, 1]))


def _reached_number(x: pd.DataFrame, y: np.ndarray, test_x: pd.DataFrame, test_y: np.ndarray) -> float:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model: Any = HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=0).fit(x, y)
    return float(model.score(test_x, test_y))
