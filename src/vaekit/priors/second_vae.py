"""A second VAE over the latents of the first: the two-stage VAE."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch import distributions as D

from vaekit.conditional import Conditional
from vaekit.distributions import (
    Gaussian,
    Noise,
    RowNoise,
    Shared,
    center,
    content_keys,
    draw,
    right,
    tempered,
)
from vaekit.networks import MLP
from vaekit.recipes import configurable

SAMPLES = 16  # draws of u for each log p(z)
BEGIN = 0.1  # scale of p(z | u) at first: from a wide one u is given up before it is of use


class SecondVae(D.Distribution):
    """p(z) = ∫ p(z | u) N(u; 0, I) du.

    log p(z) is a bound from below, by importance sampling with 16 draws from q(u | z); they are made from z itself, so
    that it is the same at every call, whatever stands beside it.

    Args:
        prior: The module whose networks these are.
        rows: N, or None for one distribution whose rows are counted later.
        c: (N, A) condition, or None.
        scale: Standard deviation of u and factor of p(z | u)'s own.
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(
        self, prior: TwoStage, rows: int | None = None, c: Tensor | None = None, scale: float = 1.0
    ) -> None:
        self.prior, self.rows, self.c, self.scale = prior, rows, c, scale
        batch = torch.Size(() if rows is None else (rows,))
        super().__init__(batch, torch.Size((prior.dim,)), validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> SecondVae:
        """The same distribution for so many rows."""
        return SecondVae(self.prior, int(batch_shape[0]), self.c, self.scale)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One value for each row: u, then z."""
        u = self.scale * noise.normal((self.rows or 1, self.prior.dim), self.prior.like)
        return draw(tempered(self.prior.decoder(u, self.c), self.scale), noise)[0], None

    def log_prob(self, value: Tensor) -> Tensor:
        """A bound on log p(z), (N, D) → (N,)."""
        z = value.repeat_interleave(SAMPLES, 0)
        c = None if self.c is None else self.c.repeat_interleave(SAMPLES, 0)
        q = self.prior.encoder(value, self.c)
        loc, scale = q.loc.repeat_interleave(SAMPLES, 0), q.scale.repeat_interleave(SAMPLES, 0)
        q = D.Normal(loc, scale, validate_args=False)
        u, _ = draw(q, RowNoise(0, "second", content_keys(value.detach())))
        base = D.Normal(torch.zeros_like(u), self.scale, validate_args=False)
        likelihood = tempered(self.prior.decoder(u, c), self.scale)
        weight = right(likelihood.log_prob(z) + base.log_prob(u) - q.log_prob(u))
        return weight.view(-1, SAMPLES).logsumexp(1) - math.log(SAMPLES)

    @property
    def mean(self) -> Tensor:
        """z at the middle of u."""
        middle = self.prior.like.new_zeros(self.rows or 1, self.prior.dim)
        return self.prior.decoder(middle, self.c).mean.view(self._extended_shape())


@center.register
def _(d: SecondVae) -> Tensor:
    return d.mean


@tempered.register
def _(p: SecondVae, temperature: float) -> D.Distribution:
    """Both stages narrower or wider."""
    return p if temperature == 1 else SecondVae(p.prior, p.rows, p.c, p.scale * temperature)


@configurable
class TwoStage(nn.Module):
    """p(z) as the marginal of a second VAE of the same width, whose aggregated posterior is nearer to N(0, I).

    Args:
        dim: Number of latent dimensions D, of z and of u.
        hidden: Widths of the hidden layers of both networks.
        condition: Width A of a condition; 0 for none.

    Source: Dai, Wipf (2019), Diagnosing and enhancing VAE models, arXiv:1903.05789.

    Example:
        >>> prior = TwoStage(3, hidden=[16])
        >>> prior().expand([5]).draw(Noise(0))[0].shape
        torch.Size([5, 3])
    """

    def __init__(self, dim: int, hidden: Sequence[int] = (512, 512), condition: int = 0) -> None:
        super().__init__()
        self.dim, self.hidden, self.condition = dim, list(hidden), condition
        family = Gaussian()
        size = family.size(dim)
        self.encoder = Conditional(MLP(dim, size, hidden=self.hidden, condition=condition), family)
        shared = Gaussian(Shared(BEGIN))
        self.decoder = Conditional(
            MLP(dim, dim, hidden=self.hidden, condition=condition, linear=True), shared
        )

    def forward(self, c: Tensor | None = None) -> SecondVae:
        """Over (D,); given a condition (N, A), one row for each of its rows."""
        return SecondVae(self, None if c is None else c.shape[0], c if self.condition else None)

    @property
    def like(self) -> Tensor:
        """A tensor of the type and device of draws."""
        return next(self.parameters()).detach()

    def loss(self, z: Tensor, c: Tensor | None, noise: Noise) -> Tensor:
        """−ELBO of each latent, (N,) nats."""
        c = c if self.condition else None
        q = self.encoder(z, c)
        u, _ = draw(q, noise)
        rate = D.kl_divergence(q, D.Normal(torch.zeros_like(u), torch.ones_like(u)))
        return -right(self.decoder(u, c).log_prob(z)) + right(rate)
