"""Terms for items of several parts, of which some will be missing later."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vaekit.distributions import right
from vaekit.model import Pass
from vaekit.objectives.term import Term, mean


class EachAlone(Term):
    """A term of the whole item, and of each part as if it were the only one there.

    Args:
        term: Such as the ELBO.
        widths: Width of each part in a row.

    Source: Wu, Goodman (2018), Multimodal generative models, arXiv:1802.05335.
    """

    def __init__(self, term: Term, widths: Sequence[int]) -> None:
        super().__init__()
        self.term, self.widths, self.samples = term, list(widths), term.samples

    def forward(self, out: Pass, step: int) -> Tensor:
        total = mean(self.term(out, step), out)
        for part in range(len(self.widths)):
            total = total + self._alone(out, part, step)
        return total

    def _alone(self, out: Pass, part: int, step: int) -> Tensor:
        """The term where only one part is seen and scored; rows without that part do not count."""
        rows = slice(None, None, out.samples)
        only = torch.zeros_like(out.x[rows], dtype=torch.bool)
        start = sum(self.widths[:part])
        only[:, start : start + self.widths[part]] = True
        mask = only if out.mask is None else only & out.mask[rows].bool()
        there = mask.any(1).to(out.x.dtype)
        weight = there if out.weight is None else there * out.weight[rows]
        if not bool(weight.sum() > 0):
            return out.x.new_zeros(())
        c = None if out.c is None else out.c[rows]
        alone = out.model(out.x[rows], c, mask, samples=out.samples, weight=weight)  # type: ignore[misc]
        return mean(self.term(alone, step), alone)

    def __repr__(self) -> str:
        return f"EachAlone({self.term!r})"


class ExpertRates(Term):
    """Σ_m KL(q(z | x) ‖ q(z | x_m)), nats per datum: what all parts say together beyond what each says alone.

    Source: Hwang, Kim, Hong, Kim (2021), Multi-view representation learning via total correlation objective.
    """

    def forward(self, out: Pass, step: int) -> Tensor:
        (latent,) = out.latents
        experts = getattr(latent.q, "experts", None)
        if experts is None:
            raise ValueError("ExpertRates reads the experts of a product; take ProductOfExperts as posterior")
        each = [right(torch.distributions.kl_divergence(_plain(latent.q), expert)) for expert in experts]
        return (torch.stack(each, 1) * latent.q.present).sum(1)


def _plain(q: torch.distributions.Distribution) -> torch.distributions.Normal:
    return torch.distributions.Normal(q.loc, q.scale, validate_args=False)  # type: ignore[attr-defined]
