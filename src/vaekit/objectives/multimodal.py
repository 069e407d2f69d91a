"""Terms for items of several parts, of which some will be missing later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vaekit.data import Items
from vaekit.distributions import log_prob, right
from vaekit.model import Pass
from vaekit.objectives.term import Term, mean


class BalancedDistortion(Term):
    """−Σ_m w_m log p(x_m | z), nats per datum, so that a part of few numbers is heard beside one of many.

        w_m = (P / P_m)^balance,  P_m the width of a part and P that of the widest

    Args:
        widths: Width of each part in a row.
        balance: 0 is the distortion itself; with 1 every part weighs as much as the widest.

    Source: Wu, Goodman (2018), arXiv:1802.05335; Shi, Siddharth, Paige, Torr (2019), arXiv:1911.03393 (parts weighed by
        the inverse of their size).

    Example:
        >>> BalancedDistortion([784, 1], 0.5).weights
        [1.0, 28.0]
    """

    def __init__(self, widths: Sequence[int], balance: float = 0.5) -> None:
        super().__init__()
        self.widths, self.balance = list(widths), balance

    @property
    def weights(self) -> list[float]:
        """w of each part."""
        return [(max(self.widths) / width) ** self.balance for width in self.widths]

    def forward(self, out: Pass, step: int) -> Tensor:
        parts = log_prob(out.px, out.x, out.mask).split(self.widths, 1)
        each = [-weight * part.sum(1) for weight, part in zip(self.weights, parts, strict=True)]
        return torch.stack(each).sum(0)

    def __repr__(self) -> str:
        return f"BalancedDistortion(balance={self.balance:g})"


class EachAlone(Term):
    """A term of the whole item, and of each part that is there as if it were the only one.

        L(x) + Σ_m L(x_m)

    Args:
        term: Such as the ELBO.
        widths: Width of each part in a row.

    Source: Wu, Goodman (2018), Multimodal generative models, arXiv:1802.05335.
    """

    def __init__(self, term: Term, widths: Sequence[int]) -> None:
        super().__init__()
        self.term, self.widths, self.samples = term, list(widths), term.samples

    def told(self, items: Items) -> None:
        self.term.told(items)

    @property
    def finish(self) -> int:
        return self.term.finish

    def forward(self, out: Pass, step: int) -> Tensor:
        total = mean(self.term(out, step), out)
        for part in range(len(self.widths)):
            total = total + self._alone(out, part, step)
        return total

    def adversary(self, out: Pass, step: int) -> Tensor:
        """What moves the term's own parameters, by whole items."""
        return self.term.adversary(out, step)

    def _alone(self, out: Pass, part: int, step: int) -> Tensor:
        """The term where only one part is seen and scored, in the mean over all rows; it is 0 without that part."""
        x, c, mask, weight = (_once(t, out.samples) for t in (out.x, out.c, out.mask, out.weight))
        only = self._only(x, part) if mask is None else self._only(x, part) & mask.bool()
        full = torch.ones(len(x), device=x.device, dtype=x.dtype) if weight is None else weight
        there = only.any(1).to(x.dtype) * full
        if not bool(there.sum() > 0):
            return x.new_zeros(())
        alone = out.model(x, c, only, samples=out.samples, weight=there)  # type: ignore[misc]
        return mean(self.term(alone, step), alone) * (there.sum() / full.sum())

    def _only(self, x: Tensor, part: int) -> Tensor:
        """Where a part stands, (B, P) of bool."""
        place = torch.arange(x.shape[1], device=x.device) - sum(self.widths[:part])
        return ((place >= 0) & (place < self.widths[part])).expand_as(x)

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
        present: Tensor = getattr(latent.q, "present")  # noqa: B009  (which experts were there)
        return (torch.stack(each, 1) * present).sum(1)


def _once(t: Any, samples: int) -> Any:
    """One of the K rows of each datum."""
    return None if t is None else t[::samples]


def _plain(q: torch.distributions.Distribution) -> torch.distributions.Normal:
    return torch.distributions.Normal(q.loc, q.scale, validate_args=False)  # type: ignore[attr-defined]
