"""How densely points lie on a plane.

The density is that of the aggregated posterior q(z) = 1/N Σ_n q(z | x_n) on the plane, smoothed a little further: a sum
of N equal Gaussians, one at each point. Their variance is the mean variance of the posteriors plus the square of a
width that Scott's rule gives for N points. Where points lie in clusters that rule would smear them over; the width is
then the usual distance to a near neighbour.

Source: Scott (1992), Multivariate density estimation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vaekit.explorer.planes import Rows

SIDE = 128  # cells along each axis


@dataclass(frozen=True)
class Density:
    """A density on a grid of cells.

    Attributes:
        x, y: (W,), (H,) centres of the cells.
        values: (H, W) density.
    """

    x: Rows
    y: Rows
    values: Rows

    @property
    def extent(self) -> list[float]:
        """x0, x1, y0, y1: the outer edges of the cells."""
        across, up = (self.x[1] - self.x[0]) / 2, (self.y[1] - self.y[0]) / 2
        ends = (self.x[0] - across, self.x[-1] + across, self.y[0] - up, self.y[-1] + up)
        return [float(end) for end in ends]

    def at(self, xy: Rows) -> Rows:
        """The density of the cell that each place (N, 2) is in; zero outside."""
        x0, x1, y0, y1 = self.extent
        inside = (xy[:, 0] >= x0) & (xy[:, 0] < x1) & (xy[:, 1] >= y0) & (xy[:, 1] < y1)
        column = ((xy[:, 0] - x0) / (x1 - x0) * len(self.x)).clip(0, len(self.x) - 1).astype(int)
        row = ((xy[:, 1] - y0) / (y1 - y0) * len(self.y)).clip(0, len(self.y) - 1).astype(int)
        return np.where(inside, self.values[row, column], 0.0)

    def level(self, places: Rows, share: float) -> float:
        """The density above which such a share of the places (N, 2) lies."""
        return float(np.quantile(self.at(places), 1 - share, method="lower"))

    def lines(self, level: float) -> list[list[list[float]]]:
        """Where the density is at a level, as lines of places."""
        from contourpy import contour_generator

        found: Any = contour_generator(self.x, self.y, self.values).lines(level)
        return [np.round(line, 4).tolist() for line in found if len(line) > 2]


def density(xy: Rows, spread: Rows | None = None, around: Rows | None = None, side: int = SIDE) -> Density:
    """The density of places on a plane.

    Args:
        xy: (N, 2).
        spread: (2,) standard deviation of the posteriors along each axis, in the mean over the points.
        around: (M, 2) places that the grid is to hold besides.
        side: Cells along each axis.

    Returns:
        Its values sum to 1 over the plane, but for what lies beyond the grid.
    """
    from scipy.ndimage import gaussian_filter

    own = xy.std(0)
    usual = max(float(own.max()), 1e-6)
    own = np.where(own > 1e-3 * usual, own, 1e-3 * usual)
    width = np.sqrt((own * smoothing(xy / own)) ** 2 + (0.0 if spread is None else np.square(spread)))
    low, high = _span(xy, own, around, width)
    cell = (high - low) / side
    width = np.maximum(width, cell)  # nothing narrower than a cell can be drawn
    counts, _, _ = np.histogram2d(xy[:, 1], xy[:, 0], bins=side, range=[[low[1], high[1]], [low[0], high[0]]])
    smooth = gaussian_filter(counts, sigma=(width / cell)[::-1], mode="constant", truncate=5.0)
    x, y = (low[i] + cell[i] * (np.arange(side) + 0.5) for i in (0, 1))
    return Density(x, y, smooth / (len(xy) * cell.prod()))


def smoothing(xy: Rows) -> float:
    """Width of the Gaussian at each of some places (N, 2) whose standard deviation is one.

    Scott's N^(−1/6), or the median distance to the (N^(2/3) / 4)-th neighbour where that is less. If the places are
    those of one Gaussian they are alike: at half of the places its density is above 1/(4π), so that a circle of
    radius r holds N r²/4 of them; it is N^(2/3)/4 for Scott's r.

    Example:
        >>> one = np.random.default_rng(0).normal(size=(4_000, 2))
        >>> four = 0.1 * one + np.sign(np.roll(one, 1, 0))
        >>> [round(width, 3) for width in (4_000 ** (-1 / 6), smoothing(one), smoothing(four))]
        [0.251, 0.248, 0.063]
    """
    from scipy.spatial import KDTree

    scott = len(xy) ** (-1 / 6)
    if not xy.std(0).all() or len(xy) < 64:
        return scott
    asked = xy[:: max(1, len(xy) // 2_000)]
    distance, _ = KDTree(xy).query(asked, [round(len(xy) ** (2 / 3) / 4) + 1])  # itself is the first
    return float(np.clip(np.median(distance), scott / 4, scott))


def _span(xy: Rows, own: Rows, around: Rows | None, width: Rows) -> tuple[Rows, Rows]:
    """Corners of a grid that holds the places, but for those that are very far out."""
    middle = np.median(xy, 0)
    low, high = np.maximum(xy.min(0), middle - 8 * own), np.minimum(xy.max(0), middle + 8 * own)
    if around is not None and len(around):
        low, high = np.minimum(low, around.min(0)), np.maximum(high, around.max(0))
    margin = np.maximum(2 * width, 0.05 * (high - low))
    return low - margin, high + margin
