"""What the latent space is used for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.bottlenecks import Latent
from vaekit.data import Items
from vaekit.distributions import Noise, right
from vaekit.model import VAE
from vaekit.operations import embed

ACTIVE = 0.01  # variance of a posterior mean over data above which a dimension counts as used


@dataclass
class Codes:
    """q(z | x) of many data.

    Attributes:
        mean, std: (N, D).
        kl: (D,) mean KL of each dimension, nats.
    """

    mean: Tensor
    std: Tensor
    kl: Tensor

    @property
    def active(self) -> Tensor:
        """Which dimensions are used: Var_x(E_q[z]) > 0.01, (D,) of bool.

        Source: Burda, Grosse, Salakhutdinov (2016), arXiv:1509.00519.
        """
        if len(self.mean) < 2:
            return torch.zeros(self.mean.shape[1], dtype=torch.bool)
        return self.mean.var(0) > ACTIVE


@torch.no_grad()
def codes(model: VAE, items: Items, size: int = 1024) -> Codes:
    """The codes of every item, in order."""
    device = next(model.parameters()).device
    found = [embed(model, b.x, b.c, b.mask) for b in (batch.to(device) for batch in items.batches(size))]
    means, stds, kls = (torch.cat([part[i] for part in found]).cpu() for i in range(3))
    return Codes(means, stds, kls.double().mean(0))


@dataclass(frozen=True)
class Information:
    """The rate in two parts, nats per datum: rate = mutual information + gap.

    Attributes:
        mutual_information: I(x; z), of which datum and code: what the code says about which datum it is.
        gap: KL(q(z) ‖ p(z)) of the aggregated posterior from the prior: what samples from the prior miss.
        rate: Mean KL(q(z | x) ‖ p(z)), from the same draws.
    """

    mutual_information: float
    gap: float
    rate: float


@torch.no_grad()
def information(model: VAE, items: Items, size: int = 2_000, seed: int = 0) -> Information:
    """How the rate divides into what codes say about data and how far they lie from the prior.

        I = E[log q(z | x) − log q(z)],  gap = E[log q(z) − log p(z)],  q(z) = 1/N Σ_n q(z | x_n)

    One z is drawn for each of N data, and q(z) is the mixture of their N posteriors. In expectation this is exact for
    those N data as the whole of the data; for more data it is too low in I, which it never puts above log N, and
    too high in the gap by as much. So N should be well above exp(I). The cost grows as N².

    Args:
        model: A stochastic model with one latent variable and an unconditional prior.
        items: The data.
        size: N; with more items, so many are drawn.
        seed: Of the choice of data and of the codes.

    Raises:
        ValueError: The model is deterministic, has more than one latent variable, or a prior that depends on a
            condition.

    Source: Hoffman, Johnson (2016), ELBO surgery: yet another way to carve up the variational evidence lower bound.
    """
    latent = _one_latent(model, items, min(size, len(items)), seed)
    log_q, log_aggregated = _own_and_aggregated(latent)
    mutual, gap = (log_q - log_aggregated).mean(), (log_aggregated - latent.log_p.double()).mean()
    return Information(float(mutual), float(gap), float(mutual + gap))


def _one_latent(model: VAE, items: Items, count: int, seed: int) -> Latent:
    """A draw from the posterior of each of some items."""
    if not model.bottleneck.stochastic:
        raise ValueError("the codes of this model are deterministic, so they have no density and no rate")
    chosen = Noise(seed, "information: data").permutation(len(items))[:count]
    batch = items.batch(chosen).to(next(model.parameters()).device)
    features = model.features(batch.x, batch.c, batch.mask)
    latents = model.bottleneck(features, batch.c, noise=Noise(seed, "information: codes"))[1]
    if len(latents) != 1:
        raise ValueError(f"one latent variable has an aggregated posterior; this model has {len(latents)}")
    p = latents[0].prior
    if batch.c is not None and len(p.batch_shape) + len(p.event_shape) == latents[0].z.dim():
        raise ValueError(
            "the prior depends on a condition, so that codes of all conditions together have none to be held against"
        )
    return latents[0]


def _own_and_aggregated(latent: Latent) -> tuple[Tensor, Tensor]:
    """log q(z_n | x_n) and log q(z_n), (N,) each."""
    n, z = len(latent.z), latent.z
    own = right(latent.q.log_prob(z)).double()
    total = own.clone()
    # every posterior sees every z as z wanders past: always (N, *latent), which any distribution takes
    for shift in range(1, n):
        at_others = right(latent.q.log_prob(z.roll(shift, 0))).double()
        total = torch.logaddexp(total, at_others.roll(-shift, 0))
    return own, total - math.log(n)
