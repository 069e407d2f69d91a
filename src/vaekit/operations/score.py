"""How probable a datum is under a model: bounds, importance-sampled likelihood, and p-values from held-out scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.distributions import Noise, RowNoise
from vaekit.model import VAE, Pass, pick

CHUNK = 2_000  # rows decoded at once: small enough for the cache, large enough for the matrix products
LIKELIHOOD = "likelihood"  # what its draws are for


@torch.no_grad()
def log_likelihood(
    model: VAE,
    x: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    samples: int = 500,
    seed: int = 0,
    rows: Tensor | None = None,
) -> Tensor:
    """log p(x) by importance sampling from q(z | x): a bound from below that closes as K grows.

        log 1/K Σ_k p(x, z_k) / q(z_k | x),  z_k ~ q(z | x)

    Each datum is encoded once; draws are decoded in chunks of about 2 000 rows; exactly K are used.

    Args:
        model: Any model with a stochastic bottleneck.
        x: (B, *shape) data in the model's space.
        c: (B, A) condition.
        mask: (B, *shape) true where observed.
        samples: K.
        seed: Of the draws.
        rows: (B,) a key for each datum, so that its draws do not depend on its neighbours; its place by default.

    Returns:
        (B,) nats.

    Raises:
        ValueError: The model's codes are deterministic.

    Source: Burda, Grosse, Salakhutdinov (2016), Importance weighted autoencoders, arXiv:1509.00519.
    """
    rows = torch.arange(len(x)) if rows is None else rows
    total = torch.full((len(x),), -math.inf, device=x.device, dtype=torch.float64)
    for out, part, _ in _passes(model, x, c, mask, samples, LIKELIHOOD, seed, rows):
        weights = out.log_weight.double().view(-1, out.samples)  # (b, k)
        total[part] = torch.logaddexp(total[part], weights.logsumexp(1))
    return total - math.log(samples)


def likelihood_noise(rows: Tensor, seed: int = 0) -> Noise:
    """Where `log_likelihood` draws from, for as many data and draws as are decoded at once.

    Args:
        rows, seed: As in `log_likelihood`.
    """
    return RowNoise(seed, LIKELIHOOD, rows)


@torch.no_grad()
def log_weights(
    model: VAE, x: Tensor, c: Tensor | None, mask: Tensor | None, samples: int, seed: int, rows: Tensor | None
) -> Tensor:
    """log p(x, z_k) − log q(z_k | x) of every draw that `log_likelihood` takes, (B, K) nats."""
    rows = torch.arange(len(x)) if rows is None else rows
    found = torch.empty(len(x), samples, dtype=torch.float64, device=x.device)
    for out, part, draws in _passes(model, x, c, mask, samples, LIKELIHOOD, seed, rows):
        found[part, draws] = out.log_weight.double().view(-1, out.samples)
    return found


@torch.no_grad()
def bound(
    model: VAE,
    x: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    samples: int = 1,
    seed: int = 0,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The two sides of −ELBO for each datum: distortion averaged over K draws, and rate.

    Args:
        model, x, c, mask, samples, seed, rows: As in `log_likelihood`.

    Returns:
        Distortion (B,) and rate (B,) in nats; the rate of a deterministic code is None.
    """
    rows = torch.arange(len(x)) if rows is None else rows
    distortion = torch.zeros(len(x), device=x.device, dtype=torch.float64)
    rate = torch.zeros_like(distortion) if model.bottleneck.stochastic else None
    for out, part, _ in _passes(model, x, c, mask, samples, "bound", seed, rows):
        distortion[part] += out.distortion.double().view(-1, out.samples).sum(1) / samples
        if rate is not None:
            rate[part] += out.rate.double().view(-1, out.samples).sum(1) / samples
    return distortion, rate


def score(
    model: VAE, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None, samples: int = 16
) -> Tensor:
    """How surprising each datum is: −ELBO in nats, (B,); the distortion for a deterministic code.

    Every datum sees the same draws, so that the score is a function of the datum alone.
    """
    keys = torch.zeros(len(x), dtype=torch.long)
    samples = samples if model.bottleneck.stochastic else 1
    distortion, rate = bound(model, x, c, mask, samples, rows=keys)
    return distortion if rate is None else distortion + rate


def p_values(scores: Any, calibration: Any) -> np.ndarray:
    """The share of held-out scores at least as high, counting the datum itself: (1 + #{cal ≥ s}) / (n + 1).

    If a datum comes from where the held-out ones came from, P(p ≤ α) ≤ α.

    Args:
        scores: (B,) scores.
        calibration: (n,) scores of held-out data.

    Returns:
        (B,) p-values.

    Source: Vovk, Gammerman, Shafer (2005), Algorithmic learning in a random world.

    Example:
        >>> p_values([0.0, 9.0], [1.0, 2.0, 3.0])
        array([1.  , 0.25])
    """
    held = np.sort(np.asarray(calibration, dtype=np.float64))
    at_least = len(held) - np.searchsorted(held, np.asarray(scores, dtype=np.float64), side="left")
    return (1 + at_least) / (len(held) + 1)


def _passes(
    model: VAE,
    x: Tensor,
    c: Tensor | None,
    mask: Tensor | None,
    samples: int,
    purpose: str,
    seed: int,
    rows: Tensor,
) -> Iterator[tuple[Pass, slice, slice]]:
    """Passes that together draw K values for each datum, of about `CHUNK` rows at most; which data, which draws."""
    k = min(samples, CHUNK)
    for start in range(0, len(x), CHUNK):
        block = slice(start, min(start + CHUNK, len(x)))
        h = model.features(x[block], pick(c, block), pick(mask, block))
        for first in range(0, block.stop - block.start, max(1, CHUNK // k)):
            inner = slice(first, min(first + max(1, CHUNK // k), block.stop - block.start))
            part = slice(start + inner.start, start + inner.stop)
            for drawn in range(0, samples, k):
                count = min(k, samples - drawn)
                noise: Noise = RowNoise(seed, purpose, rows[part], first=drawn)
                out = model.observe(pick(h, inner), x[part], pick(c, part), pick(mask, part), count, noise)
                yield out, part, slice(drawn, drawn + count)
