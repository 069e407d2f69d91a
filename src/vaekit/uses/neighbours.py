"""Distances to the nearest of a reference."""

from __future__ import annotations

import numpy as np

CHUNK = 1_024  # rows at once
SAME = 1e-12  # squared distances below so large a share of the squared lengths are rounding


def nearest(rows: np.ndarray, reference: np.ndarray, *neighbours: int, own: bool = False) -> np.ndarray:
    """The mean distance of each row to its k nearest of the reference, (N, D) and (M, D) → (N, numbers of k).

    Args:
        rows: (N, D).
        reference: (M, D).
        neighbours: One k or several; all of the reference where it has fewer.
        own: The rows are the reference, and none is its own neighbour.

    Example:
        >>> nearest(np.array([[0.0]]), np.array([[1.0], [3.0], [9.0]]), 1, 2)
        array([[1., 2.]])
    """
    counts = [max(1, min(k, len(reference) - own)) for k in neighbours]
    middle = reference.mean(0)
    rows, reference = rows - middle, reference - middle
    squares, found = np.einsum("md,md->m", reference, reference), []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        lengths = np.einsum("nd,nd->n", part, part)[:, None] + squares
        gaps = lengths - 2 * part @ reference.T  # (n, M)
        gaps[gaps < SAME * lengths] = 0.0
        if own:
            gaps[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        near = np.sqrt(np.partition(gaps, [k - 1 for k in counts], axis=1)[:, : max(counts)])
        found.append(np.stack([near[:, :k].mean(1) for k in counts], 1))
    return np.concatenate(found)
