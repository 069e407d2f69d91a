"""How good synthetic rows of a table are, and what they give away, beside rows that the model has not seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vaekit.data.columns import spoken
from vaekit.errors import DataError, nearest
from vaekit.evaluation.privacy import privacy
from vaekit.evaluation.tables import cells, compare

if TYPE_CHECKING:
    import pandas as pd

MOST = 50_000  # rows that a classifier is trained on
FEWEST = 20  # rows on either side that can be told apart at all: half of them train the classifier
KNOWN_SHARE = 0.05  # of unseen rows that may be training rows, beyond what comes twice in training anyway
MANY = 200  # categories above which a classifier takes a column as numbers of its categories


@dataclass(frozen=True)
class Quality:
    """Synthetic rows beside real ones.

    Attributes:
        shape_error: Of single columns, in the mean; 0 for the real table itself.
        trend_error: Of pairs of columns; None where there is one column.
        told_apart: AUC of a classifier that tells synthetic from real rows; 0.5 if it cannot, NaN of too few rows.
        learnt: What a model learnt from synthetic rows reaches on real ones in predicting the target, as `learnt_from`
            has it; None without a target.
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


def compared(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    train: pd.DataFrame | None = None,
    target: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Quality and privacy of synthetic rows, and the same of training rows in their place.

    Args:
        real: Rows that the model has not seen.
        synthetic: Rows that it gave.
        train: Rows that it was trained on; without them nothing is said of privacy.
        target: A column to predict.
        seed: Of what is drawn.

    Returns:
        The figures of `Quality` and `Privacy` by name, those of the training rows in the place of synthetic ones under
        `real_rows`, the counts of rows and the files they came from, what `learnt` is (AUC or R²), and notes.

    Raises:
        DataError: As in `quality` and `privacy`.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"a": np.linspace(0, 1, 90)})
        >>> found = compared(rows[::3], rows[1::3], rows[2::3])
        >>> found["copies"], found["train"], sorted(found["real_rows"])[:2], found["notes"]
        (0.0, 30, ['copies', 'distance'], [])
    """
    figures: dict[str, Any] = asdict(quality(real, synthetic, target, seed))
    found = {"target": target, "real": len(real), "synthetic": len(synthetic), **figures}
    found["files"] = {"real": _source(real), "synthetic": _source(synthetic)}
    found["learnt_is"] = None if target is None else "R²" if _is_number(real, target) else "AUC"
    found["notes"] = _few(real, synthetic)
    if train is None:
        return found
    given = privacy(train, real, synthetic, seed)
    beside = asdict(quality(real, train.sample(min(len(train), len(real)), random_state=seed), target, seed))
    beside |= {"copies": given.copies_floor, "distance": given.distance_floor}
    own = {name: getattr(given, name) for name in ("copies", "distance", "nearer", "membership")}
    found["notes"] += _trained_on(real, train, given.copies_floor)
    return {**found, **own, "train": len(train), "real_rows": beside}


def _source(frame: pd.DataFrame) -> str:
    """The file that a table was read from, "" for one in memory."""
    return str(frame.attrs.get("source") or "")


def _few(real: pd.DataFrame, synthetic: pd.DataFrame) -> list[str]:
    """A note for each side on which there are too few rows."""
    sides = {"real": len(real), "synthetic": len(synthetic)}
    few = [f"{count} {name} rows" for name, count in sides.items() if count < FEWEST]
    return (
        [f"{' and '.join(few)} are too few to judge by: give {FEWEST} or more, better hundreds."]
        if few
        else []
    )


def _trained_on(real: pd.DataFrame, train: pd.DataFrame, share: float) -> list[str]:
    """A note where more of the unseen rows are training rows than come twice by chance."""
    usual = float(train.duplicated(keep=False).mean())
    if share <= usual + KNOWN_SHARE:
        return []
    told = f"{round(share * len(real))} of these {len(real)} real rows are among those that were trained on"
    return [f"{told}: the figures beside them are worthless. Give rows that were not trained on."]


def told_apart(synthetic: pd.DataFrame, real: pd.DataFrame, seed: int = 0) -> float:
    """AUC of telling synthetic from real rows by gradient boosting; trained on one half, measured on the other.

    NaN where either has fewer than 20 rows: from these nothing is learnt, which would look like the best figure.
    """
    import pandas as pd

    n = min(len(synthetic), len(real), MOST)
    if n < FEWEST:
        return float("nan")
    random = np.random.default_rng(seed)
    synthetic, real = (frame.iloc[random.permutation(len(frame))[:n]] for frame in (synthetic, real))
    real, synthetic = _readable(real, synthetic)
    both = _features(pd.concat([synthetic, real], ignore_index=True))
    answer = np.arange(len(both)) < n
    train, test = np.array_split(random.permutation(len(both)), 2)
    return _reached(both.iloc[train], answer[train], both.iloc[test], answer[test])


def learnt_from(train: pd.DataFrame, test: pd.DataFrame, target: str) -> float:
    """What gradient boosting on one table reaches on another in predicting a column.

    Args:
        train: Rows to learn from, such as synthetic ones.
        test: Rows to predict; they decide what the columns hold.
        target: The column.

    Returns:
        Of numbers and dates R²; of categories the AUC of telling each from the others, in the mean over those of the
        test rows. Where the training rows have nothing to learn of a category, or of a number, it is what guessing
        reaches: 0.5, or 0. NaN where the test rows have one value only.

    Raises:
        DataError: E216 the columns differ or lack the target, E202 a table is empty, E215 a cell is of another type.
    """
    if target not in test:
        raise DataError("E216", f"there is no column {target!r}; {nearest(target, map(str, test.columns))}")
    number = _is_number(test, target)
    test, train = _readable(test, train)
    train, test = (
        frame[np.isfinite(frame[target]) if number else frame[target].notna()] for frame in (train, test)
    )
    y, test_y = train.pop(target).head(MOST), test.pop(target)
    x, test_x = _features(train.head(MOST)), _features(test)
    if number:
        return _reached_number(x, y.to_numpy(), test_x, test_y.to_numpy())
    classes = sorted(test_y.unique())
    if len(classes) == 2:
        classes = classes[1:]
    reached = [_reached(x, (y == one).to_numpy(), test_x, (test_y == one).to_numpy()) for one in classes]
    return float(np.mean(reached)) if reached else float("nan")


def _is_number(real: pd.DataFrame, target: str) -> bool:
    """Whether a column is predicted as a number, as dates and time spans are."""
    import pandas as pd

    return not isinstance(_readable(real[[target]], real[[target]])[0][target].dtype, pd.CategoricalDtype)


def _readable(real: pd.DataFrame, other: pd.DataFrame) -> list[pd.DataFrame]:
    """Two tables in the types of the first: numbers, dates and time spans are floats, all else shared categories."""
    import pandas as pd

    frames = [frame.copy() for frame in (real, other)]
    spans = real.select_dtypes("timedelta").columns
    for frame in frames:
        for name in frame.columns.intersection(spans):
            frame[name] = pd.to_timedelta(frame[name], errors="coerce").dt.total_seconds()
    found: list[dict[str, Any]] = [{}, {}]
    for name, (values, numeric) in zip(real.columns, cells(*frames), strict=True):
        for columns, one in zip(
            found, values if numeric else _categories(real[name], other[name]), strict=True
        ):
            columns[name] = one
    return [pd.DataFrame(columns) for columns in found]


def _categories(real: pd.Series, other: pd.Series) -> list[pd.Categorical]:
    """Cells as categories that both share, by how they are written."""
    import pandas as pd

    words = [column.astype(object).map(spoken, na_action="ignore") for column in (real, other)]
    known = pd.unique(pd.concat(words).dropna())
    return [pd.Categorical(column, categories=known) for column in words]


def _features(frame: pd.DataFrame) -> pd.DataFrame:
    """What `_readable` gave as a classifier takes it: of many categories only their numbers."""
    found = frame.copy()
    for name, column in frame.select_dtypes("category").items():
        if len(column.cat.categories) > MANY:
            found[name] = column.cat.codes.astype(float)
    return found


def _reached(x: pd.DataFrame, y: np.ndarray, test_x: pd.DataFrame, test_y: np.ndarray) -> float:
    """AUC on the test rows: 0.5 where there is nothing to learn from, NaN where there is one class to measure."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    if len(np.unique(test_y)) < 2:
        return float("nan")
    if len(np.unique(y)) < 2 or not x.shape[1]:
        return 0.5
    model: Any = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0).fit(x, y)
    return float(roc_auc_score(test_y, model.predict_proba(test_x)[:, 1]))


def _reached_number(x: pd.DataFrame, y: np.ndarray, test_x: pd.DataFrame, test_y: np.ndarray) -> float:
    """R² on the test rows: 0 where there is nothing to learn from, NaN where there is one value to measure."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    if len(np.unique(test_y)) < 2:
        return float("nan")
    if 0 in x.shape:
        return 0.0
    model: Any = HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=0).fit(x, y)
    return float(model.score(test_x, test_y))
