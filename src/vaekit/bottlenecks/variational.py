"""One latent variable: z ~ q(z | h), charged against p(z | c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from vaekit.bottlenecks.bottleneck import Bottleneck, Latent, needed
from vaekit.distributions import MEAN, Noise, draw, rows, tempered
from vaekit.recipes import configurable

if TYPE_CHECKING:
    from vaekit.model import Pass


@configurable
class Variational(Bottleneck):
    """The bottleneck of the VAE.

    Args:
        posterior: Features h → q(z | h); h already holds the condition.
        prior: c → p(z | c), or () → p(z).

    Source: Kingma, Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114.

    Example:
        >>> import torch
        >>> from vaekit.conditional import Conditional
        >>> from vaekit.distributions import Gaussian
        >>> from vaekit.priors import StandardNormal
        >>> part = Variational(Conditional(nn.Linear(8, 6), Gaussian()), StandardNormal(3))
        >>> state, [latent] = part(torch.zeros(5, 8))
        >>> state.shape, latent.kl.shape
        (torch.Size([5, 3]), torch.Size([5, 3]))
    """

    def __init__(self, posterior: nn.Module, prior: nn.Module) -> None:
        super().__init__()
        self.posterior, self.prior = posterior, prior

    def forward(
        self,
        h: Any = None,
        c: Tensor | None = None,
        z: Any = None,
        n: int | None = None,
        noise: Noise = MEAN,
        temperature: float = 1.0,
    ) -> tuple[Tensor, list[Latent]]:
        p, log_q = self.prior(c), None
        settle = getattr(self.prior, "settle", None)
        z = z if z is None or settle is None else settle(z)  # onto what the prior is over (a sphere)
        if h is not None:
            q = self.posterior(h)
        else:
            q = p = tempered(p, temperature)
        if z is None:
            alone = h is None and c is None  # an unconditional prior pass: p has one row for all
            z, log_q = draw(rows(p, needed(n)) if alone else q, noise)
        return z, [Latent(z, q, p, drawn_log_q=log_q)]

    def see_first(self, features: Callable[[], Any], x: Tensor) -> None:
        own = getattr(self.prior, "see_first", None)  # pseudo-inputs begin at data
        if own is not None:
            own(x)

    def commit(self, out: Pass) -> None:
        own = getattr(self.posterior, "commit", None)  # running statistics of a batch-normalised posterior
        if own is not None:
            own(out.latents[0].q)

    def between(self, start: Any, end: Any, weight: Tensor) -> Any:
        own = getattr(self.prior, "between", None)  # along the great circle of a sphere
        return super().between(start, end, weight) if own is None else own(start, end, weight)

    def with_prior(self, prior: nn.Module) -> Variational:
        return Variational(self.posterior, prior)
