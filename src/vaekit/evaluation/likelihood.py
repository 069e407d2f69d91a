"""How well a model explains data: each datum once, nats per datum, in the units the data came in."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vaekit.data import Batch, Items
from vaekit.errors import DataError
from vaekit.evaluation.latents import codes
from vaekit.evaluation.units import log_volume
from vaekit.model import VAE
from vaekit.operations import bound, log_likelihood, score


@torch.no_grad()
def evaluate(model: VAE, items: Items, samples: int = 0, seed: int = 0, size: int = 1024) -> dict[str, Any]:
    """ELBO and its two sides, active units and, with `samples`, importance-sampled −log p(x).

    Args:
        model: In evaluation mode.
        items: The data; every item counts once.
        samples: K draws for each datum for the likelihood; 0 leaves it out.
        seed: Of the draws; the same seed compares models on the same ones.
        size: Data encoded at once; the result does not depend on it.

    Returns:
        `elbo rate distortion nll nll_se bits_per_dim active_units n samples`: means over data in nats; `nll_se` is the
        standard error of the mean over data. What a model does not have is None.

    Raises:
        DataError: A value is not finite (the rows are named).
    """
    device = next(model.parameters()).device
    distortions, rates, nlls = [], [], []
    for batch in items.batches(size):
        batch, volume = batch.to(device), _volume(model, items, batch)
        distortion, rate = bound(model, batch.x, batch.c, batch.mask, seed=seed, rows=batch.index)
        distortions.append((distortion.cpu() - volume).double())
        rates += [] if rate is None else [rate.cpu()]
        if samples and rate is not None:
            p = log_likelihood(model, batch.x, batch.c, batch.mask, samples, seed, batch.index)
            nlls.append(-p.cpu() - volume)
    return _summary(model, items, _joined(distortions), _joined(rates), _joined(nlls), samples)


def _summary(
    model: VAE, items: Items, distortion: Tensor | None, rate: Tensor | None, nll: Tensor | None, samples: int
) -> dict[str, Any]:
    """The figures, once every value is known to be finite."""
    negative_elbo = distortion if rate is None or distortion is None else distortion + rate
    for values in (negative_elbo, nll):
        check_finite(values)
    best = negative_elbo if nll is None else nll
    dims = math.prod(items.shape) if items.kind is None else items.kind.dims
    return {
        "elbo": None if rate is None or negative_elbo is None else -float(negative_elbo.mean()),
        "rate": _mean(rate),
        "distortion": _mean(distortion),
        "nll": _mean(nll),
        "nll_se": None if nll is None or len(nll) < 2 else float(nll.std() / math.sqrt(len(nll))),
        "bits_per_dim": None if rate is None or best is None else float(best.mean()) / dims / math.log(2),
        "active_units": None if model.bottleneck.discrete else int(codes(model, items).active.sum()),
        "n": len(items),
        "samples": samples,
    }


@torch.no_grad()
def scores(model: VAE, items: Items, size: int = 1024) -> Tensor:
    """−ELBO of every item in order, (N,) nats, the same at every call (the distortion of a deterministic code)."""
    device = next(model.parameters()).device
    found = []
    for batch in items.batches(size):
        batch = batch.to(device)
        found.append(score(model, batch.x, batch.c, batch.mask).cpu() - _volume(model, items, batch))
    values = torch.cat(found)
    check_finite(values)
    return values


@torch.no_grad()
def log_likelihoods(model: VAE, items: Items, samples: int = 500, seed: int = 0, size: int = 1024) -> Tensor:
    """Importance-sampled log p(x) of every item in order, (N,) nats."""
    device = next(model.parameters()).device
    found = []
    for batch in items.batches(size):
        batch = batch.to(device)
        p = log_likelihood(model, batch.x, batch.c, batch.mask, samples, seed, batch.index)
        found.append(p.cpu() + _volume(model, items, batch))
    return torch.cat(found)


def check_finite(values: Tensor | None, first: int = 0) -> None:
    """Refuse values that are not finite, naming their rows; the first of them is row `first`."""
    if values is None or bool(torch.isfinite(values).all()):
        return
    bad = (first + (~torch.isfinite(values)).nonzero().flatten()).tolist()
    message = f"{len(bad)} of {len(values)} items have no finite likelihood under this model."
    raise DataError("E206", message, where=f"rows {', '.join(map(str, bad[:5]))}")


def _volume(model: VAE, items: Items, batch: Batch) -> float | Tensor:
    volume = log_volume(model, items.kind, batch)
    return volume.cpu() if isinstance(volume, Tensor) else volume


def _joined(parts: list[Tensor]) -> Tensor | None:
    return torch.cat(parts) if parts else None


def _mean(values: Tensor | None) -> float | None:
    return None if values is None else float(values.mean())
