"""How much new rows of a table give away of the rows that the model was trained on.

None of these figures makes rows anonymous: they tell that something is wrong, and not that nothing is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vaekit.distributions import Noise
from vaekit.evaluation.tables import cells

if TYPE_CHECKING:
    import pandas as pd

MOST = 5_000  # rows whose nearest ones are looked for
SEARCHED = 20_000  # rows among which they are looked for
CHUNK = 500  # rows at once


@dataclass(frozen=True)
class Privacy:
    """Synthetic rows beside rows that the model was trained on and rows that it never saw.

    Attributes:
        copies: Share of synthetic rows that are a training row, cell by cell.
        copies_floor: The same share of unseen rows, which no model copied.
        distance: Median distance of a synthetic row to its nearest training row: numbers in units of their range, 1 for
            another category; √ of the sum of squares.
        distance_floor: The same of unseen rows.
        nearer: Share of synthetic rows nearer to a training row than to an unseen one, of as many each; ties count
            half. 0.5 if nothing is given away.
        membership: AUC of telling training rows from unseen ones by how near a synthetic row lies; 0.5 if it cannot be.
    """

    copies: float
    copies_floor: float
    distance: float
    distance_floor: float
    nearer: float
    membership: float


def privacy(train: pd.DataFrame, unseen: pd.DataFrame, synthetic: pd.DataFrame, seed: int = 0) -> Privacy:
    """Figures of what synthetic rows give away.

    Args:
        train: Rows that the model was trained on.
        unseen: Rows of the same kind that it never saw; as many as possible.
        synthetic: Rows that it gave.
        seed: Of the rows that are looked at where there are many: 5 000, among 20 000.

    Raises:
        DataError: E202 a table is empty, E216 the columns differ, E215 a cell is of another type.

    Source: Zhao, Kunar, Birke, Chen (2021), CTAB-GAN, arXiv:2102.08369 (distance to the closest record); Zhang et al.
        (2024), TabSyn, arXiv:2310.09656 (the share nearer to training rows); Chen, Yu, Zhang, Fritz (2020), GAN-Leaks,
        arXiv:1909.03935 (membership by the distance to synthetic data).

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"a": np.linspace(0, 1, 60)})
        >>> found = privacy(rows[::2], rows[1::2], rows[::2])
        >>> found.copies, found.copies_floor, found.nearer, found.membership
        (1.0, 0.0, 1.0, 1.0)
    """
    a, b, c = _features(train, unseen, synthetic)
    noise = Noise(seed, "privacy")
    copied = {row.tobytes() for row in a}
    copies, floor = (float(np.mean([row.tobytes() in copied for row in rows])) for rows in (c, b))
    a, b, c = (rows[noise.permutation(len(rows)).numpy()[:SEARCHED]] for rows in (a, b, c))
    n = min(len(a), len(b))  # as many of both, or the more numerous would be the nearer
    some = c[:MOST]
    to_train, to_unseen = nearest(some, a[:n]), nearest(some, b[:n])
    nearer = np.mean(to_train < to_unseen) + np.mean(to_train == to_unseen) / 2
    inside, outside = nearest(a[:MOST], c), nearest(b[:MOST], c)
    return Privacy(
        copies, floor, float(np.median(nearest(some, a))), float(np.median(nearest(b[:MOST], a))),
        float(nearer), _auc(inside, outside),
    )  # fmt: skip


def nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance of each row (N, F) to the nearest of others (M, F), (N,); 0 where they are the same."""
    squares, found = np.square(others).sum(1), np.empty(len(rows))
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        place = (squares - 2 * part @ others.T).argmin(1)
        found[start : start + CHUNK] = np.sqrt(np.square(part - others[place]).sum(1))
    return found


def _features(*tables: pd.DataFrame) -> list[np.ndarray]:
    """Tables as points: numbers over the range of the first, categories as one-hot vectors, an empty cell as one."""
    blocks: list[np.ndarray] = []
    for values, numeric in cells(*tables):
        whole = np.concatenate(values)
        empty = np.isnan(whole)
        if numeric:
            first = values[0][np.isfinite(values[0])]
            low, high = (first.min(), first.max()) if len(first) else (0.0, 0.0)
            scaled = np.where(empty, 0.0, (whole - low) / (high - low if high > low else 1.0))
            blocks.append(np.nan_to_num(scaled).clip(-2, 3)[:, None])
        else:
            places = np.where(empty, -1, whole).astype(np.int64)
            hot = np.zeros((len(whole), int(places.max(initial=-1)) + 1))
            known = np.flatnonzero(~empty)
            hot[known, places[known]] = np.sqrt(0.5)  # two different ones are 1 apart
            blocks.append(hot)
        if empty.any():
            blocks.append(empty[:, None] * np.sqrt(0.5))
    points = np.concatenate(blocks, 1) + 0.0
    return np.split(points, np.cumsum([len(table) for table in tables])[:-1])


def _auc(inside: np.ndarray, outside: np.ndarray) -> float:
    """The probability that a training row lies nearer than an unseen one; ties count half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([inside, outside]))[len(inside) :].sum()
    return float((ranks - len(outside) * (len(outside) + 1) / 2) / (len(inside) * len(outside)))
