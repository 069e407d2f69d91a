"""Planes through the latent space: where the points lie on them, how densely, and where the prior is.

Density is that of the aggregated posterior q(z) = 1/N Σ_n q(z | x_n) on the plane, smoothed a little further: a
Gaussian at every point, as wide as the posteriors are in the mean, and as the rule of Scott (1992) says for so many;
where points lie in clusters, which that rule would smear over, as the neighbours are far.

Source: Scott (1992), Multivariate density estimation; Hyndman (1996), Computing and graphing highest density regions
(contours that hold a share of the points).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 128  # cells of a density along each axis
SHARES = {"50 %": 0.5, "90 %": 0.9, "99 %": 0.99}
ON_DATA = 0.99  # share of the points that lie on the data
CORNERS = 120  # of a circle
NEIGHBOURED = 5_000  # points of a map by neighbours; more take minutes
LATER = {"umap": "Neighbourhoods (UMAP)"}  # maps that take up to minutes, made when they are asked for

Rows = NDArray[np.floating]


@dataclass(frozen=True)
class Plane:
    """A map: places of points, and how a place becomes a code.

    Attributes:
        id, name, axes: For machines and for people.
        xy: (N, 2).
        origin: (D,) the code at (0, 0).
        basis: (2, D) code of a step along each axis; None where places have no codes of their own.
        rows: (N,) which points lie on it, where not all do.
    """

    id: str
    name: str
    axes: tuple[str, str]
    xy: Rows
    origin: Rows
    basis: Rows | None


def planes(codes: Rows, order: Sequence[int], names: Sequence[str]) -> list[Plane]:
    """The maps of some codes that are made in a moment: the two most used dimensions, and principal components.

    Args:
        codes: (N, D).
        order: Dimensions, the most used first.
        names: (D,) of the dimensions.
    """
    if not len(codes) or not order:
        return []
    found = [two_dimensions(codes, order, names)]
    if len(order) > 1 and len(codes) > 2:
        found.append(principal(codes))
    return found


def later(codes: Rows) -> list[str]:
    """The maps that may be asked for besides: UMAP, where it is installed and there are neighbours enough."""
    there = importlib.util.find_spec("umap") is not None and len(codes) >= 16
    return list(LATER) if there else []


def two_dimensions(codes: Rows, order: Sequence[int], names: Sequence[str]) -> Plane:
    """The plane of the two dimensions that are used most, the others where the codes are in the mean."""
    chosen = list(order[:2]) if len(order) > 1 else [order[0], order[0]]
    origin, basis = codes.mean(0).astype(np.float64), np.zeros((2, codes.shape[1]))
    origin[chosen] = 0.0
    for axis, dim in enumerate(order[:2]):
        basis[axis, dim] = 1.0
    xy = codes[:, chosen].astype(np.float64)
    if len(order) < 2:
        xy[:, 1] = 0.0
    axes = (names[chosen[0]], names[chosen[1]] if len(order) > 1 else "")
    title = "Two most used dimensions" if len(order) > 1 else "The dimension"
    return Plane("dims", title, axes, xy, origin, basis)


def principal(codes: Rows) -> Plane:
    """The plane through the mean along which codes vary most; a place's code is on it.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> plane = principal(rng.normal(size=(100, 3)) * [1.0, 5.0, 3.0])
        >>> np.abs(plane.basis).argmax(1)
        array([1, 2])
    """
    mean = codes.mean(0, dtype=np.float64)
    centred = codes - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(codes))
    first = np.argsort(-values, kind="stable")[:2]
    basis = vectors[:, first].T  # (2, D)
    basis = basis * np.where(np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], 1) < 0, -1.0, 1.0)
    shares = values[first].clip(0) / max(values.clip(0).sum(), 1e-12)
    axes = tuple(f"component {i + 1} ({100 * share:.0f} %)" for i, share in enumerate(shares))
    return Plane("pca", "Principal components", (axes[0], axes[1]), centred @ basis.T, mean, basis)


def neighboured(codes: Rows) -> Plane:
    """UMAP: who is near whom; a place has no code of its own.

    A few seconds for 5 000 points, after half a minute (the first time, minutes) in which numba compiles it.

    Source: McInnes, Healy, Melville (2018), UMAP, arXiv:1802.03426.
    """
    import umap

    reducer = umap.UMAP(n_components=2, random_state=0, n_jobs=1)
    xy = reducer.fit_transform(codes[:NEIGHBOURED])
    if len(codes) > NEIGHBOURED:
        xy = np.concatenate([xy, reducer.transform(codes[NEIGHBOURED:])])
    origin = codes.mean(0, dtype=np.float64)
    return Plane("umap", LATER["umap"], ("", ""), np.asarray(xy, dtype=np.float64), origin, None)


# ---------------------------------------------------------------------- density


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


def projected(codes: Rows, plane: Plane) -> Rows | None:
    """Places of codes (N, D) on a plane, (N, 2); None where it has no such places."""
    return None if plane.basis is None else (codes - plane.origin) @ plane.basis.T


def projected_spread(std: Rows, plane: Plane) -> Rows | None:
    """Standard deviation along each axis of posteriors (N, D), root of the mean variance, (2,)."""
    return None if plane.basis is None else np.sqrt(np.square(std).mean(0) @ np.square(plane.basis).T)


# ---------------------------------------------------------------------- contours


def density_contours(found: Density, xy: Rows) -> list[dict[str, Any]]:
    """The regions that hold 50 and 90 % of the points."""
    chosen = [(word, SHARES[word]) for word in ("50 %", "90 %")]
    return [
        {"of": "density", "level": word, "lines": found.lines(found.level(xy, share))}
        for word, share in chosen
    ]


def normal_contours(plane: Plane) -> list[dict[str, Any]]:
    """Where 50, 90 and 99 % of N(0, I) lies on a plane with axes at right angles and of length one.

    A circle of radius √(−2 ln(1 − p)) around the place of z = 0.
    """
    zero = projected(np.zeros((1, len(plane.origin))), plane)
    if zero is None:
        return []
    angle = np.linspace(0, 2 * math.pi, CORNERS + 1)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    return [
        {
            "of": "prior",
            "level": word,
            "lines": [np.round(zero + math.sqrt(-2 * math.log(1 - share)) * circle, 4).tolist()],
        }
        for word, share in SHARES.items()
    ]


def drawn_contours(draws: Rows, plane: Plane) -> list[dict[str, Any]]:
    """Where 50, 90 and 99 % of a prior lies on a plane, by draws (M, D) from it."""
    xy = projected(draws, plane)
    if xy is None or not len(xy):
        return []
    found = density(xy)
    return [
        {"of": "prior", "level": word, "lines": found.lines(found.level(xy, share))}
        for word, share in SHARES.items()
    ]
