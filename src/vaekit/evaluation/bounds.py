"""How far the bounds are from the likelihood, and what a trained decoder could do at every rate.

ELBO ≤ E[IWAE(K)] ≤ log p(x),  ELBO ≤ E[AIS] ≤ log p(x): each tighter for more draws K or steps
p_β(z | x) = p(z) p(x | z)^β / Z_β(x):  rate KL(p_β ‖ p),  distortion E_{p_β}[−log p(x | z)]
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from vaekit.data import Batch, Items
from vaekit.evaluation.likelihood import check_finite
from vaekit.evaluation.units import log_volume
from vaekit.model import VAE
from vaekit.operations import bound
from vaekit.operations.annealed import anneal, annealed_log_likelihood
from vaekit.operations.score import log_weights

SAMPLES = (1, 5, 50, 500)
BETAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def bounds(
    model: VAE,
    items: Items,
    samples: Sequence[int] = SAMPLES,
    chains: int = 8,
    temperatures: int = 100,
    seed: int = 0,
    size: int = 256,
) -> dict[str, Any]:
    """The ELBO, IWAE bounds of growing K, and annealed importance sampling: how much each leaves on the table.

    Each bound is a mean over groups of K of the same draws: where each K divides the next, none is below the last.

    Args:
        model: In evaluation mode.
        items: The data; every item counts once.
        samples: Each K; the largest is how many draws a datum gets.
        chains: Of annealed importance sampling for each datum; 0 leaves it out.
        temperatures: Of each chain.
        seed: Of the draws.
        size: Data encoded at once; the result does not depend on it.

    Returns:
        Means over data in nats and their standard errors: `n elbo elbo_se samples iwae iwae_se ais ais_se chains
        temperatures without`; `iwae` and `iwae_se` are lists, one number for each of `samples`. `ais` is None where it
        cannot be had, and `without` says why.

    Raises:
        ValueError: The model's codes are deterministic, so that no bound exists.
        DataError: A value is not finite (the rows are named).

    Source: Burda, Grosse, Salakhutdinov (2016), arXiv:1509.00519; Wu, Burda, Salakhutdinov, Grosse (2017),
        arXiv:1611.04273.
    """
    samples = _ascending(samples, "samples")
    if not model.bottleneck.stochastic:
        raise ValueError(
            "this model's codes are deterministic, so it has no bound on log p(x); use a Variational one"
        )
    elbos, weighted, annealed, without = [], [], [], "" if chains else "chains = 0"
    for batch, volume in _batches(model, items, size):
        data, rows = (batch.x, batch.c, batch.mask), batch.index
        elbos.append(volume - sum(bound(model, *data, min(samples[-1], 50), seed, rows)))  # type: ignore[arg-type]
        weighted.append(volume + _nested(log_weights(model, *data, samples[-1], seed, rows), samples))
        if without:
            continue
        try:
            found = annealed_log_likelihood(model, *data, chains, temperatures, seed=seed, rows=rows)
            annealed.append(volume + found)
        except ValueError as error:
            without = str(error)
    check_finite(torch.cat(elbos))
    means, errors = _moments(torch.cat(weighted, 1))
    return {
        "n": len(items), **_figure("elbo", torch.cat(elbos)),
        "samples": samples, "iwae": means.tolist(), "iwae_se": _numbers(errors),
        **_figure("ais", None if without else torch.cat(annealed)),
        "chains": chains, "temperatures": temperatures, "without": without,
    }  # fmt: skip


def curve(
    model: VAE,
    items: Items,
    betas: Sequence[float] = BETAS,
    chains: int = 8,
    temperatures: int = 200,
    leapfrog: int = 5,
    seed: int = 0,
    size: int = 256,
) -> dict[str, Any]:
    """The rate–distortion curve of a trained decoder and prior, whatever its encoder can do.

        D(β) = E_{p_β}[−log p(x | z)],  R(β) = −log Z_β(x) − β D(β)

    Along it dD/dR = −1/β; the encoder's own (rate, distortion) lies above it, and β = 1 is the exact posterior, where
    R + D = −log p(x). Z_β is estimated from below, so the rate is estimated from above.

    Args:
        model: One continuous latent variable; in evaluation mode.
        items: The data.
        betas: Ascending, above 0.
        chains: For each datum, from the prior on.
        temperatures: Steps of the path at the least; each of `betas` is one of them.
        leapfrog: Steps of each Hamiltonian move.
        seed: Of the draws.
        size: Data encoded at once; the result does not depend on it.

    Returns:
        Lists over β in nats, means over data with standard errors: `beta rate rate_se distortion distortion_se`, with
        the encoder's own `encoder_rate encoder_distortion`, and `n chains temperatures`.

    Raises:
        ValueError: The latent is deterministic, discrete, of several variables, or not in ℝ^D.

    Source: Huang, Makhzani, Cao, Grosse (2020), Evaluating lossy compression rates of deep generative models,
        arXiv:2008.06653.
    """
    betas = _ascending(betas, "betas")
    path = _path(betas, temperatures)
    sides, own = [], []
    for batch, volume in _batches(model, items, size):
        data, rows = (batch.x, batch.c, batch.mask), batch.index
        rate, distortion = _sides(model, data, path, betas, chains, leapfrog, seed, rows)
        sides.append(torch.stack([rate, distortion - volume.cpu()]))  # (2, betas, B)
        encoded, rated = bound(model, *data, chains, seed, rows)
        own.append(torch.stack([rated, encoded - volume]))  # type: ignore[list-item]
    (rate, distortion), (rate_se, distortion_se) = _moments(torch.cat(sides, 2))
    encoder = torch.cat(own, 1).mean(1)
    return {
        "n": len(items), "beta": betas, "rate": rate.tolist(), "rate_se": _numbers(rate_se),
        "distortion": distortion.tolist(), "distortion_se": _numbers(distortion_se),
        "encoder_rate": float(encoder[0]), "encoder_distortion": float(encoder[1]),
        "chains": chains, "temperatures": len(path),
    }  # fmt: skip


def _nested(log_weight: Tensor, samples: Sequence[int]) -> Tensor:
    """The mean IWAE bound of each datum over the whole groups of K draws: (B, most) → (len(samples), B)."""
    found = []
    for k in samples:
        groups = log_weight[:, : log_weight.shape[1] // k * k].unflatten(1, (-1, k))  # (B, groups, K)
        found.append((groups.logsumexp(2) - math.log(k)).mean(1))
    return torch.stack(found)


def _sides(
    model: VAE,
    data: tuple[Tensor, Tensor | None, Tensor | None],
    path: list[float],
    betas: Sequence[float],
    chains: int,
    leapfrog: int,
    seed: int,
    rows: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Rate and distortion of p_β for each datum, (betas, B) each."""
    parts: dict[int, list[Tensor]] = {}  # first datum → a tensor for each run of its chains
    for part, points in anneal(model, *data, path, chains, leapfrog, seed, rows, from_prior=True):
        chosen = [point for point in points if point.beta in betas]
        run = [torch.stack([p.log_weight, (p.start - p.joint).double()]) for p in chosen]
        here = torch.stack(run, 1).unflatten(2, (part.stop - part.start, -1))  # (2, betas, b, chains)
        parts.setdefault(part.start, []).append(here.cpu())
    weights, distortions = torch.cat([torch.cat(runs, 3) for runs in parts.values()], 2)
    distortion = (weights.softmax(2) * distortions).sum(2)
    log_z = weights.logsumexp(2) - math.log(chains)
    return -log_z - torch.tensor(betas, dtype=torch.float64).unsqueeze(1) * distortion, distortion


def _path(betas: Sequence[float], temperatures: int) -> list[float]:
    """Ascending to the last β, close together near the prior, with each of `betas` among them."""
    between = [betas[-1] * (t / temperatures) ** 3 for t in range(1, temperatures)]
    return sorted({*between, *betas})


def _batches(model: VAE, items: Items, size: int) -> Iterator[tuple[Batch, Tensor]]:
    """Batches on the model's device, and the log volume of each datum's units, () or (B,)."""
    device = next(model.parameters()).device
    for batch in items.batches(size):
        batch = batch.to(device)
        volume = log_volume(model, items.kind, batch)
        yield batch, torch.as_tensor(volume, dtype=torch.float64, device=device)


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the last axis, the data, and its standard error (not a number for one datum)."""
    n = values.shape[-1]
    error = values.std(-1) / math.sqrt(n) if n > 1 else torch.full_like(values[..., 0], math.nan)
    return values.mean(-1), error


def _numbers(values: Tensor) -> list[float | None]:
    """A list with None for what is not a number."""
    return [None if math.isnan(value) else value for value in values.tolist()]


def _figure(name: str, values: Tensor | None) -> dict[str, float | None]:
    """A mean over data and its standard error, under a name; None where there is none."""
    if values is None:
        return {name: None, f"{name}_se": None}
    value, error = _moments(values)
    return {name: float(value), f"{name}_se": float(error) if len(values) > 1 else None}


def _ascending(numbers: Sequence[Any], name: str) -> list[Any]:
    """Positive numbers from small to large."""
    found = list(numbers)
    if not found or found[0] <= 0 or any(b <= a for a, b in zip(found, found[1:], strict=False)):
        raise ValueError(f"{name} = {found}: positive numbers, each above the one before, are needed")
    return found
