"""Planes through the latent space: where the codes of points lie on them, and how a place becomes a code."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEIGHBOURED = 5_000  # points that UMAP looks at; more take minutes
LATER = {"umap": "Neighbourhoods (UMAP)"}  # planes that take up to minutes, made when they are asked for

Rows = NDArray[np.floating]


@dataclass(frozen=True)
class Plane:
    """Places of points on a plane, and how a place becomes a code.

    Attributes:
        id, name, axes: For machines and for people.
        xy: (N, 2).
        origin: (D,) the code at (0, 0).
        basis: (2, D) code of a step along each axis; None where places have no codes of their own.
    """

    id: str
    name: str
    axes: tuple[str, str]
    xy: Rows
    origin: Rows
    basis: Rows | None


def planes(codes: Rows, order: Sequence[int], names: Sequence[str]) -> list[Plane]:
    """The planes that are made in a moment: the two most used dimensions, and principal components.

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
    """Ids of the planes that may be asked for besides: UMAP, where it is installed and there are neighbours enough."""
    there = importlib.util.find_spec("umap") is not None and len(codes) >= 16
    return list(LATER) if there else []


def two_dimensions(codes: Rows, order: Sequence[int], names: Sequence[str]) -> Plane:
    """The plane of the two dimensions that are used most; all other dimensions stand at their mean over the codes."""
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
    """Places by UMAP, which keeps neighbours together; a place has no code of its own.

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


def projected(codes: Rows, plane: Plane) -> Rows | None:
    """Places of codes (N, D) on a plane, (N, 2); None where it has no such places."""
    return None if plane.basis is None else (codes - plane.origin) @ plane.basis.T


def projected_spread(std: Rows, plane: Plane) -> Rows | None:
    """Standard deviation along each axis of posteriors (N, D), root of the mean variance, (2,)."""
    return None if plane.basis is None else np.sqrt(np.square(std).mean(0) @ np.square(plane.basis).T)
