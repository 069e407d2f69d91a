"""The second stage: a prior for a trained model's latents, so that it is sampled from where its codes are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.bottlenecks import Variational
from vaekit.data import Batch, Items, Kind, Table, as_items
from vaekit.distributions import Noise
from vaekit.errors import DivergedError
from vaekit.model import VAE
from vaekit.priors import StandardNormal
from vaekit.priors.fitted_mixture import FittedMixture
from vaekit.training.optimizer import Adam
from vaekit.training.train import Order, norm_of, warm_cosine

MOST = 20_000  # latents from which a prior begins, or is fitted at once
CHUNK = 1_024  # items that are encoded at once
FEWEST_ROWS, ROWS_EACH, MOST_COMPONENTS = 100, 250, 50  # of a table and its mixture
STREAK = 25  # steps in a row that are not finite, at the end, after which nothing was fitted


@dataclass
class Fitted:
    """One step of fitting.

    Attributes:
        step: Steps done.
        fraction: Share of the whole that is done.
        loss: The prior's loss, in the mean over the batch.
    """

    step: int
    fraction: float
    loss: Tensor


def table_prior(model: VAE, kind: Kind, rows: int) -> FittedMixture | None:
    """The prior that a table's model gets when its training ends, not fitted yet: a mixture of at most 50 Gaussians.

    Of three on Adult (a mixture of 10 or 50, rectified flow) the mixture of 50 gave the best rows in a twentieth of the
    flow's time, and its density is exact. None where the data are no table, conditioned or few, or the model has
    another prior than N(0, I).

    Args:
        model: A trained model.
        kind: The kind of its data.
        rows: How many it was trained on.
    """
    bottleneck = model.bottleneck
    plain = type(bottleneck) is Variational and isinstance(bottleneck.prior, StandardNormal)
    if not isinstance(kind, Table) or kind.conditional or not plain or rows < FEWEST_ROWS:
        return None
    (dim,) = bottleneck.prior().batch_shape  # type: ignore[operator]
    each = max(ROWS_EACH, dim * dim)  # about as many rows as a component has numbers, twice
    return FittedMixture(min(MOST_COMPONENTS, max(1, rows // each)), dim)


def fit_prior(
    model: VAE,
    prior: nn.Module,
    data: Any,
    *,
    steps: int = 5_000,
    batch_size: int = 256,
    lr: float = 1e-3,
    seed: int = 0,
    clock: Callable[[], float] | None = None,
    each: Callable[[Fitted], None] | None = None,
) -> VAE:
    """Fit a prior to draws from q(z | x), the model itself held still, and put it in the place of the model's own.

    Args:
        model: A trained model; of several latent variables the one's prior is replaced that `with_prior` replaces.
        prior: c → p(z | c). With `fit(z, seed)` it is fitted at once; otherwise by gradient, on `loss(z, c, noise)` if
            it has that and on −log p(z) if not. `begin(z)` sees latents first.
        data: Items, a tensor (N, *shape), an array, or a torch Dataset.
        steps, batch_size, lr, seed: As in `train`.
        clock: Fraction of fitting done by another measure than steps; it ends at 1.
        each: Called after every step.

    Returns:
        The model with its new prior, in evaluation mode; the parts are shared with the old one.

    Raises:
        ValueError: The prior is not over latents of this form, or has nothing to fit.
        DivergedError: E501 its loss was not finite at the end.

    Source: Dai, Wipf (2019), arXiv:1903.05789; Ghosh et al. (2020), arXiv:1903.12436 (priors fitted after training).

    Example:
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors
        >>> from vaekit.priors.mixture import Mixture
        >>> model, _ = presets.vae(Vectors(4), latent=2)
        >>> fit_prior(model, Mixture(3, 2), torch.randn(64, 4), steps=5).bottleneck.prior.components
        3
    """
    items = as_items(data)
    model.eval()
    device = next(model.parameters()).device
    prior.to(device)
    first, c = _some(model, items, seed)
    _fits(prior, first, c)
    own = getattr(prior, "begin", None)
    with Noise(seed, "begin prior").torch():
        if own is not None:
            own(first)
    at_once = getattr(prior, "fit", None)
    if at_once is not None:
        at_once(first, seed)
    else:
        _by_gradient(model, prior, items, steps, batch_size, lr, seed, clock, each)
    bottleneck = model.bottleneck.with_prior(prior.eval())
    return VAE(model.encoder, bottleneck, model.decoder).eval()


@torch.no_grad()
def latents(model: VAE, batch: Batch, noise: Noise) -> Tensor:
    """Draws from q(z | x) of the variable whose prior is replaced: (B, D), or (B, *shape) of codes."""
    h = model.features(batch.x, batch.c, batch.mask)
    z = model.bottleneck(h, batch.c, noise=noise)[1][model.bottleneck.prior_of].z
    return z.flatten(1) if z.is_floating_point() else z


def _fits(prior: nn.Module, z: Tensor, c: Tensor | None) -> None:
    """Refuse a prior over values of another shape, which would broadcast."""
    p = prior(None if c is None else c[:1])
    shape = tuple(p.batch_shape + p.event_shape)[0 if c is None else 1 :]
    if shape != tuple(z.shape[1:]):
        raise ValueError(
            f"the prior is over values of shape {shape}, and the latents are {tuple(z.shape[1:])}"
        )


def _some(model: VAE, items: Items, seed: int) -> tuple[Tensor, Tensor | None]:
    """Latents of some of the items and their conditions, the same ones for the same seed; drawn by weight, if given."""
    device, chosen, noise = next(model.parameters()).device, Noise(seed, "some"), Noise(seed, "begin")
    found, conditions, weights = [], [], []
    for places in chosen.permutation(len(items))[:MOST].split(CHUNK):
        batch = items.batch(places, chosen).to(device)
        found.append(latents(model, batch, noise))
        conditions += [] if batch.c is None else [batch.c]
        weights += [] if batch.weight is None else [batch.weight]
    z, c = torch.cat(found), torch.cat(conditions) if conditions else None
    if not weights:
        return z, c
    drawn = noise.choice(torch.cat(weights).tolist(), len(z)).to(device)
    return z[drawn], None if c is None else c[drawn]


def _by_gradient(
    model: VAE,
    prior: nn.Module,
    items: Items,
    steps: int,
    batch_size: int,
    lr: float,
    seed: int,
    clock: Callable[[], float] | None,
    each: Callable[[Fitted], None] | None,
) -> None:
    """Adam on the prior's parameters; a step that is not finite does not happen."""
    device = next(model.parameters()).device
    parameters = [p for p in prior.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(f"{type(prior).__name__} has no parameters to fit")
    optimizer = Adam(lr, clip=10 * math.sqrt(sum(p.numel() for p in parameters)))
    moments, order = optimizer.start(parameters), Order(len(items), batch_size, seed)
    prior.train()
    step, streak = 0, torch.zeros((), device=device)
    while (fraction := step / steps if clock is None else clock()) < 1:
        batch = items.batch(order.rows(step), Noise(seed, "data", step)).to(device)
        noise = Noise(seed, "prior", step)
        with noise.torch():
            loss = _mean(_loss(prior, latents(model, batch, noise), batch.c, noise), batch.weight)
            gradients = list(torch.autograd.grad(loss, parameters))
        norm = norm_of(gradients)
        bad = (~torch.isfinite(loss + norm)).to(torch.float32)
        optimizer.step(moments, gradients, lr * warm_cosine(fraction), norm, bad)
        streak.add_(1).mul_(bad)
        step += 1
        if each is not None:
            each(Fitted(step, fraction, loss.detach()))
    if step and streak >= min(step, STREAK):
        message = (
            f"the prior's loss was not finite for {int(streak)} steps in a row; the model keeps its own."
        )
        raise DivergedError("E501", message, hint=f"--lr {lr / 4:g}")


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    return values.mean() if weight is None else (weight * values).sum() / weight.sum()


def _loss(prior: nn.Module, z: Tensor, c: Tensor | None, noise: Noise) -> Tensor:
    """What a prior is trained by, (N,)."""
    own = getattr(prior, "loss", None)
    if own is not None:
        return own(z, c, noise)
    log_p = prior(c).log_prob(z)
    return -(log_p.flatten(1).sum(1) if log_p.dim() > 1 else log_p)
