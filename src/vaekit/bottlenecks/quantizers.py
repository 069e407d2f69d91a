"""Quantizers: vectors to whole numbers and back, with the estimator through which the encoder learns.

    codes = argmin_k ‖h − e_k‖²,   state = e_codes, whose gradient passes to h unchanged

Maps stand as (N, D, *grid); a code, or a few of them, stands for the vector at each position. Penalties are summed over
positions and dimensions, for each datum, as everything in nats is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.bottlenecks.codebooks import k_means, nearest, replaced, sums
from vaekit.distributions import Noise, ambient, right
from vaekit.recipes import configurable

SMOOTH = 1e-5  # of a vector, counted to each code at its own place, so that it can always be divided by


class Quantization(NamedTuple):
    """A map, quantised.

    Attributes:
        codes: (N, *grid, …) whole numbers.
        state: (N, D, *grid) what the codes stand for; its gradient is h's.
        penalty: (N,) what is charged for the difference, or 0.
    """

    codes: Tensor
    state: Tensor
    penalty: Tensor | float = 0.0


class Quantizer(nn.Module, ABC):
    """Vectors to codes and back.

    Attributes:
        dim: D, entries of a vector.
        levels: How many values a code has; a list has one number for each entry of the codes' last axis, of the codes
            that together stand for a vector.
    """

    dim: int
    levels: int | list[int]

    @abstractmethod
    def forward(self, h: Tensor) -> Quantization:
        """The codes of features h (N, D, *grid)."""

    @abstractmethod
    def closest(self, e: Tensor) -> Tensor:
        """The codes (N, *grid, …) whose embeddings are nearest to e (N, D, *grid)."""

    @abstractmethod
    def embed(self, codes: Tensor) -> Tensor:
        """What codes (N, *grid, …) stand for, (N, D, *grid)."""

    def see_first(self, h: Tensor) -> None:
        """Begin from the features of some data; nothing by default."""

    def commit(self, h: Tensor, codes: Tensor, weight: Tensor | None = None) -> None:
        """Learn from a batch's features and codes what is not learned by gradient; nothing by default.

        Args:
            h: (N, D, *grid).
            codes: (N, *grid, …) as found.
            weight: (N,) weight of each datum.
        """


class Codebook(Quantizer):
    """What quantizers with a codebook (K, D) share; how it learns is their own.

    Attributes:
        codebook: (K, D) the vectors e_k.
        started: Whether it has begun from data; it does so once.
    """

    codebook: Tensor
    started: Tensor

    def __init__(self, size: int, dim: int, commitment: float) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            raise ValueError(f"a codebook has at least one vector of one entry, not {size} of {dim}")
        self.size, self.dim, self.commitment, self.levels = size, dim, commitment, size
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    @abstractmethod
    def charge(self, h: Tensor, e: Tensor) -> Tensor:
        """What the difference between features and embeddings costs, both (N, D, *grid) → (N,)."""

    @abstractmethod
    def begin(self, codebook: Tensor) -> None:
        """Take over a codebook found from data."""

    def forward(self, h: Tensor) -> Quantization:
        codes = self.closest(h.detach())
        e = self.embed(codes)
        return Quantization(codes, straight_through(h, e), self.charge(h, e))

    def closest(self, e: Tensor) -> Tensor:
        if e.shape[1] != self.dim:
            raise ValueError(
                f"vectors of {self.dim} entries on axis 1 are expected, not shape {tuple(e.shape)}"
            )
        vectors = e.movedim(1, -1)  # (N, *grid, D)
        return nearest(vectors.flatten(0, -2), self.codebook.detach()).view(vectors.shape[:-1])

    def embed(self, codes: Tensor) -> Tensor:
        return functional.embedding(codes, self.codebook).movedim(-1, 1)

    @torch.no_grad()
    def see_first(self, h: Tensor) -> None:
        if not self.started:
            self.begin(k_means(h.movedim(1, -1).flatten(0, -2), self.size, ambient()))
            self.started.fill_(True)


@configurable
class VectorQuantizer(Codebook):
    """A codebook that learns by gradient: penalty = ‖sg(h) − e‖² + β ‖h − sg(e)‖².

    Args:
        size: K, vectors in the codebook.
        dim: D, their entries.
        commitment: β, what it costs the encoder to leave its code.

    Source: van den Oord, Vinyals, Kavukcuoglu (2017), Neural discrete representation learning, arXiv:1711.00937.

    Example:
        >>> codes, state, penalty = VectorQuantizer(16, 3)(torch.zeros(2, 3, 7, 7))
        >>> codes.shape, state.shape, penalty.shape
        (torch.Size([2, 7, 7]), torch.Size([2, 3, 7, 7]), torch.Size([2]))
    """

    def __init__(self, size: int, dim: int, commitment: float = 0.25) -> None:
        super().__init__(size, dim, commitment)
        self.codebook = nn.Parameter(torch.empty(size, dim).uniform_(-1 / size, 1 / size))

    def charge(self, h: Tensor, e: Tensor) -> Tensor:
        moved = right((h.detach() - e).square())
        return moved + self.commitment * right((h - e.detach()).square())

    def begin(self, codebook: Tensor) -> None:
        self.codebook.copy_(codebook)


@configurable
class MovingAverageQuantizer(Codebook):
    """A codebook of moving averages: each vector is the mean of the features that chose it. penalty = β ‖h − sg(e)‖².

        n ← γ n + (1 − γ) counts,   m ← γ m + (1 − γ) sums,   e = m / n

    Before the first batch n = 1 and m = e, as if each code had been chosen once. Both fade alike, so that e is a mean
    of what was seen from the first step on, and a code that nobody chooses stays where it is. A code that is chosen too
    seldom begins again at features far from their codes.

    Args:
        size: K, vectors in the codebook.
        dim: D, their entries.
        commitment: β, what it costs the encoder to leave its code.
        decay: γ.
        revive: A code begins again when it is chosen less than this share of the average; 0 never does.

    Source: van den Oord, Vinyals, Kavukcuoglu (2017), arXiv:1711.00937, A.1; Razavi, van den Oord, Vinyals (2019),
    arXiv:1906.00446; Dhariwal, Jun, Payne, Kim, Radford, Sutskever (2020), arXiv:2005.00341 (revival).

    Example:
        >>> part = MovingAverageQuantizer(4, 2)
        >>> part.embed(part(torch.zeros(1, 2, 5)).codes).shape, round(float(part.perplexity))
        (torch.Size([1, 2, 5]), 4)
    """

    counts: Tensor
    totals: Tensor
    commits: Tensor

    def __init__(
        self, size: int, dim: int, commitment: float = 0.25, decay: float = 0.99, revive: float = 0.05
    ) -> None:
        super().__init__(size, dim, commitment)
        self.decay, self.revive = decay, revive
        self.register_buffer("codebook", torch.randn(size, dim))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("totals", self.codebook.clone())
        self.register_buffer("commits", torch.zeros((), dtype=torch.long))

    @property
    def perplexity(self) -> Tensor:
        """exp of the entropy of the codes as they have been chosen lately: how many codes are in use."""
        share = self.counts / self.counts.sum()
        return torch.special.entr(share).sum().exp()

    def charge(self, h: Tensor, e: Tensor) -> Tensor:
        return self.commitment * right((h - e.detach()).square())

    def begin(self, codebook: Tensor) -> None:
        self.codebook.copy_(codebook)
        self.totals.copy_(codebook)
        self.counts.fill_(1)

    @torch.no_grad()
    def commit(self, h: Tensor, codes: Tensor, weight: Tensor | None = None) -> None:
        vectors, chosen = h.movedim(1, -1).flatten(0, -2).to(self.totals.dtype), codes.flatten()
        each = None if weight is None else weight.repeat_interleave(len(chosen) // len(weight))
        error = (vectors - self.codebook[chosen]).square().sum(1)
        counts, totals = sums(vectors, chosen, self.size, each)
        self.counts.lerp_(counts, 1 - self.decay)
        self.totals.lerp_(totals, 1 - self.decay)
        smoothed = self.totals + SMOOTH * self.codebook
        self.codebook.copy_(smoothed / (self.counts + SMOOTH).unsqueeze(1))
        self._revive(vectors, error if each is None else error * each)
        self.commits.add_(1)

    def _revive(self, vectors: Tensor, error: Tensor) -> None:
        """Codes that are hardly chosen begin again at vectors (M, D) with a large error (M,)."""
        average = self.counts.mean()
        dead = self.counts < self.revive * average  # (K,)
        if dead.any():
            noise = Noise(0, "revive", int(self.commits))  # the same when a run is resumed
            self.codebook.copy_(replaced(self.codebook, dead, vectors, error, noise))
            self.totals.copy_(torch.where(dead.unsqueeze(1), self.codebook * average, self.totals))
            self.counts.copy_(torch.where(dead, average, self.counts))


def straight_through(h: Tensor, e: Tensor) -> Tensor:
    """The value of e with the gradient of h.

    Source: Bengio, Léonard, Courville (2013), arXiv:1308.3432.
    """
    return e.detach() + (h - h.detach())
