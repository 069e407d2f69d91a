"""A monotone map from a column's values to standard normal scores, by its quantiles; exactly invertible.

score(v) = Φ⁻¹(F(v)) at the knots, straight between them, and going on as the last piece does beyond them
"""

from __future__ import annotations

import numpy as np

MOST_KNOTS = 256
FEWEST_ROUNDED = 10  # different values that must be multiples of ten before the others are ruled out


def fit_knots(values: np.ndarray, grid: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Knots of the map: about √n quantiles, so that each piece rests on √n values.

    Args:
        values: (n,) finite values, in any order.
        grid: Step h of values that are multiples of it: knots then lie on the edges v ± h/2 of their cells. 0 for
            values of a continuum.

    Returns:
        Values and scores, both (m,) and increasing, m ≥ 2.

    Example:
        >>> knots, scores = fit_knots(np.arange(1.0, 100.0))
        >>> len(knots), round(float(np.interp(50.0, knots, scores)), 3)
        (10, 0.0)
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    count = len(ordered)
    if grid:
        cells, counts = np.unique(ordered, return_counts=True)
        places = np.concatenate([cells - grid / 2, cells[-1:] + grid / 2])
        below = np.concatenate([[0], np.cumsum(counts)]).astype(np.float64)
    else:
        places, first, counts = np.unique(ordered, return_index=True, return_counts=True)
        below = first + counts / 2
    if len(places) < 2:  # one value, or none: any map will do
        middle = places[0] if len(places) else 0.0
        reach = max(1.0, abs(middle))
        return np.array([middle - reach, middle + reach]), np.array([-1.0, 1.0])
    wanted = np.linspace(0, count, min(MOST_KNOTS, max(2, int(count**0.5) + 1)))
    chosen = np.searchsorted(below, wanted).clip(0, len(below) - 1)
    chosen = np.unique(np.concatenate([[0], chosen, [len(below) - 1]]))
    scores = _normal_quantile((below[chosen] + 0.5) / (count + 1))
    return places[chosen], scores


def _normal_quantile(share: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(share)


def forward(values: np.ndarray, knots: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Values to scores, (N,) → (N,)."""
    return _straight(values, knots, scores)


def backward(found: np.ndarray, knots: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Scores to values, (N,) → (N,): the inverse of `forward`."""
    return _straight(found, scores, knots)


def slope(found: np.ndarray, knots: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """d score / d value at scores (N,): what a density of scores is multiplied by to be one of values."""
    piece = np.searchsorted(scores, found, side="right").clip(1, len(scores) - 1)
    return (scores[piece] - scores[piece - 1]) / (knots[piece] - knots[piece - 1])


def _straight(at: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Straight pieces through (x, y), the first and the last going on for ever."""
    piece = np.searchsorted(x, at, side="right").clip(1, len(x) - 1)
    rise = (y[piece] - y[piece - 1]) / (x[piece] - x[piece - 1])
    return y[piece - 1] + (at - x[piece - 1]) * rise


def grid_of(values: np.ndarray, most_decimals: int = 6, bits: int = 53) -> float:
    """The step of values that are written with few decimals, or rounded to tens: 100, 10, 1, 0.1, …; 0 for none.

    Args:
        values: (n,) finite values.
        most_decimals: 1e-6 is the finest step.
        bits: Of each value's significand: 53, or 24 where they were float32.

    Steps above 1 are believed of ten different values or more.

    Example:
        >>> grid_of(np.array([1.5, 2.0])), grid_of(np.array([3.0, 7.0])), grid_of(np.array([np.pi]))
        (0.1, 1.0, 0.0)
    """
    largest = float(np.abs(values).max(initial=0.0))
    for decimals in range(most_decimals + 1):
        # a few roundings are forgiven, where they could not make anything look like a multiple
        forgiven, most = (2.0 ** (3 - bits), 2.0 ** (bits - 7)) if decimals else (0.0, 2.0 ** (bits - 3))
        if largest * 10.0**decimals > most:
            return 0.0
        scaled = values * 10.0**decimals
        if bool((np.abs(scaled - np.rint(scaled)) <= forgiven * np.abs(scaled)).all()):
            return 10.0**-decimals if decimals else _tens(values)
    return 0.0


def _tens(values: np.ndarray) -> float:
    """The largest of 1, 10, 100, … of which all whole values are multiples."""
    if len(np.unique(values)) < FEWEST_ROUNDED:
        return 1.0
    return next(10.0**power for power in range(6, -1, -1) if not (values % 10.0**power).any())


def on_grid(values: np.ndarray, grid: float) -> np.ndarray:
    """The nearest multiples of the grid, as a reader of decimals would have them.

    Example:
        >>> on_grid(np.array([0.30000000001]), 0.1)
        array([0.3])
    """
    if not grid:
        return values
    if grid >= 1:
        return np.rint(values / grid) * grid
    decimals = int(round(-np.log10(grid)))
    return np.rint(values * 10.0**decimals) / 10.0**decimals
