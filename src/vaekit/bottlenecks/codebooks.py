"""What is done with a codebook (K, D) and vectors (M, D): the nearest code, sums by code, a start from data."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.distributions import Noise

AT_ONCE = 1 << 24  # products of vectors and codes that are held in memory
ROUNDS = 10  # of Lloyd's algorithm
VECTORS_PER_CODE = 64  # looked at by the start: beyond that the centres hardly change


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """argmin_k ‖v − e_k‖², (M, D) and (K, D) → (M,); the first of several.

    Example:
        >>> nearest(torch.tensor([[0.1], [0.9]]), torch.tensor([[1.0], [0.0]]))
        tensor([1, 0])
    """
    half = codebook.square().sum(1) / 2  # ‖v − e‖² / 2 without what all codes share
    if torch.compiler.is_exporting():  # a traced program cannot count the parts
        return torch.addmm(half, vectors, codebook.T, alpha=-1).argmin(1)
    parts = vectors.split(max(1, AT_ONCE // len(codebook)))
    return torch.cat([torch.addmm(half, part, codebook.T, alpha=-1).argmin(1) for part in parts])


def sums(vectors: Tensor, codes: Tensor, size: int, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """How many vectors each code has, and their sum: (K,) and (K, D).

    Args:
        vectors: (M, D).
        codes: (M,) of 0 … K−1.
        size: K.
        weight: (M,) what each vector counts.
    """
    weight = vectors.new_ones(len(vectors)) if weight is None else weight.to(vectors.dtype)
    counts = vectors.new_zeros(size).index_add_(0, codes, weight)
    totals = vectors.new_zeros(size, vectors.shape[1]).index_add_(0, codes, vectors * weight.unsqueeze(1))
    return counts, totals


def scattered(vectors: Tensor, weight: Tensor, size: int, noise: Noise) -> Tensor:
    """K of the vectors, drawn without replacement with probability proportional to weight (M,), (K, D).

    Where there are fewer than K they come again.

    Source: Efraimidis, Spirakis (2006), Weighted random sampling with a reservoir.
    """
    key = weight.log() - (-noise.uniform(weight.shape, weight).log()).log()
    order = key.topk(min(size, len(vectors))).indices
    return vectors[order[torch.arange(size, device=order.device) % len(order)]]


def spread_out(vectors: Tensor, size: int, noise: Noise) -> Tensor:
    """K of the vectors far from one another, (K, D): each drawn in proportion to its squared distance from the others.

    Beyond the first few, an eighth more at once.

    Source: Arthur, Vassilvitskii (2007), k-means++; Bahmani, Moseley, Vattani, Kumar, Vassilvitskii (2012).
    """
    centers = scattered(vectors, vectors.new_ones(len(vectors)), 1, noise)
    error = errors(vectors, centers)
    while len(centers) < size:
        more = scattered(vectors, error, min(size - len(centers), 1 + len(centers) // 8), noise)
        centers, error = torch.cat([centers, more]), error.minimum(errors(vectors, more))
    return centers


def k_means(vectors: Tensor, size: int, noise: Noise) -> Tensor:
    """K centres of the vectors (M, D), (K, D); one that has lost all its vectors begins again far from the others.

    Source: Lloyd (1982), Least squares quantization in PCM.
    """
    vectors = vectors[noise.permutation(len(vectors))[: VECTORS_PER_CODE * size].to(vectors.device)]
    centers = spread_out(vectors, size, noise)
    for _ in range(ROUNDS):
        codes = nearest(vectors, centers)
        counts, totals = sums(vectors, codes, size)
        means = totals / counts.clamp(min=1).unsqueeze(1)
        error = (vectors - centers[codes]).square().sum(1)
        centers = replaced(means, counts == 0, vectors, error, noise)
    return centers


def replaced(codebook: Tensor, dead: Tensor, vectors: Tensor, error: Tensor, noise: Noise) -> Tensor:
    """A codebook whose dead codes are vectors, drawn in proportion to their error.

    Args:
        codebook: (K, D).
        dead: (K,) of bool.
        vectors: (M, D).
        error: (M,) squared distance of each from its code.
    """
    new = scattered(vectors, error, len(codebook), noise)  # the likeliest first
    return torch.where(dead.unsqueeze(1), new[(dead.cumsum(0) - 1).clamp(min=0)], codebook)


def errors(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Squared distance of each vector from the nearest code, (M,)."""
    return (vectors - codebook[nearest(vectors, codebook)]).square().sum(1)
