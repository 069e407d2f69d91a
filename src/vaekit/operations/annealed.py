"""Annealed importance sampling: log p(x) along a path of distributions, for posteriors that q fits badly.

log π_β(z) = (1 − β) log q₀(z) + β log p(x, z),  0 = β₀ < … < β_T = 1
log w = Σ_t (β_t − β_{t−1}) (log p(x, z_{t−1}) − log q₀(z_{t−1})),  E[w] = p(x)

Between temperatures each chain moves by Hamiltonian dynamics, which leave π_β as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from vaekit.distributions import Noise, RowNoise, right, spread
from vaekit.model import VAE, Pass, repeat
from vaekit.operations.hamiltonian import Target, move, tuned

if TYPE_CHECKING:
    from vaekit.bottlenecks import Latent

CHUNK = 2_000  # rows that move at once
PILOT = 4  # chains of each datum that find the step sizes


@torch.no_grad()
def annealed_log_likelihood(
    model: VAE,
    x: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    chains: int = 8,
    temperatures: int = 100,
    leapfrog: int = 5,
    seed: int = 0,
    rows: Tensor | None = None,
    from_prior: bool = False,
) -> Tensor:
    """log p(x) by annealed importance sampling; its exponential is an unbiased estimate of p(x).

        log 1/C Σ_c w_c

    Step sizes are each datum's own at each temperature. A few chains of their own find them first, since an estimate
    whose steps follow its own chains would be biased. It costs about (1 + 4/C) · C · T · (L + 1) passes through the
    decoder and back for each datum.

    Args:
        model: One continuous latent variable whose prior has a density; in evaluation mode.
        x: (B, *shape) data in the model's space.
        c: (B, A) condition.
        mask: (B, *shape) true where observed.
        chains: C for each datum.
        temperatures: T.
        leapfrog: L, steps of each Hamiltonian move.
        seed: Of the draws.
        rows: (B,) a key for each datum, so that its draws do not depend on its neighbours; its place by default.
        from_prior: Begin at p(z) in place of q(z | x): longer, but blind to a bad encoder.

    Returns:
        (B,) nats.

    Raises:
        ValueError: The model has deterministic codes, discrete ones, several latent variables, or a latent that does
            not live in ℝ^D.

    Source: Neal (2001), Annealed importance sampling, arXiv:physics/9803008; Wu, Burda, Salakhutdinov, Grosse (2017),
        arXiv:1611.04273.
    """
    betas = sigmoid_path(temperatures)
    total = torch.full((len(x),), -math.inf, device=x.device, dtype=torch.float64)
    for part, points in anneal(model, x, c, mask, betas, chains, leapfrog, seed, rows, from_prior):
        *_, last = points
        weights = last.log_weight.view(part.stop - part.start, -1)  # (b, chains of this run)
        total[part] = torch.logaddexp(total[part], weights.logsumexp(1))
    return total - math.log(chains)


@dataclass(frozen=True)
class Point:
    """Where the chains are at one temperature; rows N = b × chains, those of a datum side by side.

    Attributes:
        beta: The temperature's β.
        log_weight: (N,) log w so far: with them the chains stand for π_β.
        start: (N,) log q₀(z).
        joint: (N,) log p(x, z).
    """

    beta: float
    log_weight: Tensor
    start: Tensor
    joint: Tensor


@torch.no_grad()
def anneal(
    model: VAE,
    x: Tensor,
    c: Tensor | None,
    mask: Tensor | None,
    betas: Sequence[float],
    chains: int,
    leapfrog: int,
    seed: int,
    rows: Tensor | None = None,
    from_prior: bool = False,
) -> Iterator[tuple[slice, Iterator[Point]]]:
    """Runs of at most about `CHUNK` rows that together move `chains` chains for each datum along the path.

    Args:
        model, x, c, mask, chains, leapfrog, seed, rows, from_prior: As in `annealed_log_likelihood`.
        betas: β₁ < … < β_T; what comes first is β₀ = 0.

    Yields:
        The data of a run, and its points, one for each β.
    """
    _check_counts(chains, len(betas), leapfrog)
    rows = torch.arange(len(x)) if rows is None else rows
    for part, first, count in blocks(len(x), chains):
        data = (x[part], None if c is None else c[part], None if mask is None else mask[part])
        noise = RowNoise(seed, "annealed", rows[part], first)
        pilot = RowNoise(seed, "annealed pilot", rows[part])
        sizes = tuned(*_begin(model, *data, PILOT, pilot, from_prior), betas, leapfrog, pilot, PILOT)
        target, z = _begin(model, *data, count, noise, from_prior)
        repeated = [size.repeat_interleave(count) for size in sizes]
        yield part, _points(target, z, betas, repeated, leapfrog, noise)


def blocks(data: int, draws: int) -> Iterator[tuple[slice, int, int]]:
    """Data, first draw and number of draws of blocks of at most about `CHUNK` rows that together give each datum all.

    Example:
        >>> list(blocks(3, 1000))
        [(slice(0, 2, None), 0, 1000), (slice(2, 3, None), 0, 1000)]
    """
    most = min(draws, CHUNK)
    size = max(1, CHUNK // most)
    for start in range(0, data, size):
        for first in range(0, draws, most):
            yield slice(start, min(start + size, data)), first, min(most, draws - first)


def sigmoid_path(temperatures: int, steepness: float = 4.0) -> list[float]:
    """β₁ … β_T = 1, close together at both ends.

    Source: Wu, Burda, Salakhutdinov, Grosse (2017), arXiv:1611.04273.

    Example:
        >>> [round(beta, 3) for beta in sigmoid_path(4)]
        [0.105, 0.5, 0.895, 1.0]
    """
    s = torch.sigmoid(steepness * torch.linspace(-1, 1, temperatures + 1, dtype=torch.float64))
    return ((s - s[0]) / (s[-1] - s[0]))[1:].tolist()


@torch.no_grad()
def _points(
    target: Target, z: Tensor, betas: Sequence[float], sizes: list[Tensor], leapfrog: int, noise: Noise
) -> Iterator[Point]:
    place = target.place(z)
    log_weight, before = torch.zeros_like(place.joint, dtype=torch.float64), 0.0
    for beta, size in zip(betas, sizes, strict=True):
        log_weight = log_weight + (beta - before) * (place.joint - place.start).double()
        place, _ = move(target, place, beta, size, leapfrog, noise)
        yield Point(beta, log_weight, place.start, place.joint)
        before = beta


def _begin(
    model: VAE, x: Tensor, c: Tensor | None, mask: Tensor | None, count: int, noise: Noise, from_prior: bool
) -> tuple[Target, Tensor]:
    """What the chains move in, and where they begin: (N, *latent)."""
    out = model.observe(model.features(x, c, mask), x, c, mask, count, noise)
    latent = _only(model, out.latents)
    if not from_prior:
        narrow = wide = _spread(latent.q, latent.z)
        return _Target(model, out, latent.q, wide, narrow), latent.z
    c = repeat(c, count)
    _, (drawn,) = model.bottleneck(c=c, n=len(latent.z), noise=noise)
    wide, narrow = _spread(latent.prior, latent.z), _spread(latent.q, latent.z)
    return _Target(model, out, None, wide, narrow), drawn.z


class _Target(Target):
    """log q₀ and log p(x, z) of a pass's data, for any z.

    Args:
        model: Whose decoder explains the data.
        out: A pass over them, N rows.
        start: q₀; the prior if None.
        wide, narrow: (N, *latent) scale of z at β = 0 and at β = 1.
    """

    def __init__(
        self, model: VAE, out: Pass, start: Distribution | None, wide: Tensor, narrow: Tensor
    ) -> None:
        self.model, self.out, self.start = model, out, start
        self.wide, self.narrow = wide.square().reciprocal(), narrow.square().reciprocal()

    def densities(self, z: Tensor) -> tuple[Tensor, Tensor]:
        out = self.out
        state, (latent,) = self.model.bottleneck(z=z, c=out.c)
        px, log_p = self.model.likelihood(state, out.c), latent.log_p
        joint = log_p - Pass(out.x, px, [latent], state, out.mask, out.c).distortion
        return log_p if self.start is None else right(self.start.log_prob(z)), joint

    def scale(self, beta: float) -> Tensor:
        """Precisions add as log densities do."""
        precision = (1 - beta) * self.wide + beta * self.narrow
        return torch.maximum(precision, torch.minimum(self.wide, self.narrow)).rsqrt()


def _spread(d: Distribution, z: Tensor) -> Tensor:
    """Standard deviation of each dimension where d knows it, else 1."""
    try:
        s = spread(d).expand_as(z)
    except (NotImplementedError, AttributeError):
        return torch.ones_like(z)
    return torch.where(torch.isfinite(s) & (s > 0), s, torch.ones_like(s))


def _only(model: VAE, latents: list[Latent]) -> Latent:
    """The one continuous latent variable."""
    needs = "annealed importance sampling moves one continuous latent variable; "
    if not model.bottleneck.stochastic:
        raise ValueError(needs + "this model's codes are deterministic and have no likelihood")
    if len(latents) != 1:
        raise ValueError(
            needs + f"this model has {len(latents)}; use `log_likelihood`, which takes any number"
        )
    (latent,) = latents
    if not latent.z.is_floating_point():
        raise ValueError(needs + "this model's codes are discrete; use `log_likelihood`")
    if _bounded(latent.q) or hasattr(getattr(model.bottleneck, "prior", None), "settle"):
        raise ValueError(needs + "this one lives on a surface and not in ℝ^D; use `log_likelihood`")
    with torch.enable_grad():
        z = latent.z.detach().requires_grad_()
        if not latent.prior.log_prob(z).requires_grad:
            raise ValueError(needs + "this prior's density has no gradient; use `log_likelihood`")
    return latent


def _bounded(q: Distribution) -> bool:
    """Whether q is over a simplex; a distribution need not say what it is over."""
    try:
        return q.support is constraints.simplex
    except (NotImplementedError, AttributeError):
        return False


def _check_counts(chains: int, temperatures: int, leapfrog: int) -> None:
    for name, number in (("chains", chains), ("temperatures", temperatures), ("leapfrog", leapfrog)):
        if number < 1:
            raise ValueError(f"{name} = {number}: one or more are needed")
