"""Distributions over bits, categories and levels that torch lacks, or has only with costs on the hot path."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributions as D
from torch.nn import functional

from vaekit.distributions.noise import Noise


class Bernoulli(D.Bernoulli):
    """Bits from logits, whose log_prob is one fused kernel and takes any value in [0, 1].

    For x in between, log_prob is x log p + (1 − x) log(1 − p): the expectation over x's two ends.
    """

    def __init__(self, logits: Tensor) -> None:
        super().__init__(logits=logits, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return -functional.binary_cross_entropy_with_logits(
            self.logits, value.to(self.logits.dtype), reduction="none"
        )

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        return (noise.uniform(self.logits.shape, self.logits) < self.probs).to(self.logits.dtype), None


class ContinuousBernoulli(D.Distribution):
    """Density λ e^{λx} / (e^λ − 1) on [0, 1], in logits λ; torch's clamps λ, which a saturated pixel exceeds.

    It is symmetric, p(x; λ) = p(1 − x; −λ), so that only negative λ = −t are ever computed with.
    """

    arg_constraints: dict = {}
    has_rsample = True

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        t, small = self._size()
        safe = torch.where(small, torch.ones_like(t), t)  # its gradient too is selected away
        log_norm = torch.where(small, -t / 2 + t.square() / 24, (-torch.expm1(-safe)).log() - safe.log())
        return -t * torch.where(self.logits > 0, 1 - value, value) - log_norm

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        t, small = self._size()
        u = noise.uniform(t.shape, t)
        u = torch.where(self.logits > 0, 1 - u, u)
        x = (-torch.log1p(u * torch.expm1(-t)) / t).clamp(0, 1)
        return torch.where(self.logits > 0, 1 - x, x), None

    @property
    def mean(self) -> Tensor:
        t, small = self._size()
        low = torch.where(small, 0.5 - t / 12, 1 / t - 1 / torch.expm1(t))
        return torch.where(self.logits > 0, 1 - low, low)

    @property
    def variance(self) -> Tensor:
        t, small = self._size()
        wide = 1 / t.square() - torch.exp(-t) / torch.expm1(-t).square()
        return torch.where(small, torch.full_like(t, 1 / 12), wide)

    def _size(self) -> tuple[Tensor, Tensor]:
        """|λ|, never 0, and where it is so small that a series keeps more digits."""
        t = self.logits.abs().clamp(min=1e-6)
        return t, t < 1e-2


class Categorical(D.Categorical):
    """Categories 0 … K−1 from logits (N, …, K); values may come as floats."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(logits=logits, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.logits.gather(-1, value.long().unsqueeze(-1)).squeeze(-1)


class DiscretizedLogistic(D.Distribution):
    """Mass of a logistic on the bins around L equally spaced levels of [0, 1].

    P(x) = σ(a) − σ(b), a = (x + δ/2 − μ)/s, b = (x − δ/2 − μ)/s, δ = 1/(L − 1); the lowest bin begins at −∞ and the
    highest ends at ∞. Since σ(a) − σ(b) = σ(a) σ(−b) (1 − e^{−(a−b)}) and a − b = δ/s, the logarithm is exact in
    every tail.

    Args:
        loc, scale: (N, *shape).
        levels: L.
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, loc: Tensor, scale: Tensor, levels: int) -> None:
        self.loc, self.scale, self.levels, self.step = loc, scale, levels, 1 / (levels - 1)
        super().__init__(loc.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        above = (value - self.loc + self.step / 2) / self.scale
        below = (value - self.loc - self.step / 2) / self.scale
        lower = functional.logsigmoid(above)  # log σ(a): all mass below the bin's upper edge
        upper = functional.logsigmoid(-below)  # log σ(−b): all mass above its lower edge
        inside = lower + upper + log1mexp(self.step / self.scale)
        return torch.where(
            value <= self.step / 2, lower, torch.where(value >= 1 - self.step / 2, upper, inside)
        )

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        u = noise.uniform(self.loc.shape, self.loc)
        x = self.loc + self.scale * (u.log() - (-u).log1p())
        return (x.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1), None

    @property
    def mean(self) -> Tensor:
        """Σ P(level ≥ j) δ, as the integral of the logistic's tail over [0, 1]: right to within half a level."""
        softplus = functional.softplus
        return (self.scale * (softplus(self.loc / self.scale) - softplus((self.loc - 1) / self.scale))).clamp(
            0, 1
        )


class DiscretizedLogisticMixture(D.Distribution):
    """A weighted sum of `DiscretizedLogistic`s for each value.

    Args:
        logits, loc, scale: (N, *shape, K).
        levels: Number of levels.
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor, levels: int) -> None:
        self.logits = logits.log_softmax(-1)
        self.parts = DiscretizedLogistic(loc, scale, levels)
        super().__init__(loc.shape[:-1], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return (self.logits + self.parts.log_prob(value.unsqueeze(-1))).logsumexp(-1)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        gumbel = -(-noise.uniform(self.logits.shape, self.logits).log()).log()
        chosen = (self.logits + gumbel).argmax(-1, keepdim=True)
        return self.parts.draw(noise)[0].gather(-1, chosen).squeeze(-1), None

    @property
    def mean(self) -> Tensor:
        return (self.logits.exp() * self.parts.mean).sum(-1)


class PointMass(D.Distribution):
    """All mass on one value: the posterior of a deterministic code, which has no density, or of a discrete one."""

    arg_constraints: dict = {}
    has_rsample = True

    def __init__(self, value: Tensor) -> None:
        self.value = value
        super().__init__(value.shape, validate_args=False)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        return self.value, None

    @property
    def mean(self) -> Tensor:
        return self.value

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.value)

    def log_prob(self, value: Tensor) -> Tensor:
        """log 1 for each of a discrete code's values.

        Raises:
            ValueError: The values are continuous.
        """
        if self.value.is_floating_point():
            raise ValueError(
                "a deterministic code has no density, so no rate and no likelihood; use a Variational one"
            )
        return torch.zeros(value.shape, device=value.device)


def log1mexp(t: Tensor) -> Tensor:
    """log(1 − e^{−t}) for t > 0 without cancellation.

    Source: Mächler (2012), Accurately computing log(1 − exp(−|a|)).
    """
    small = t < 0.6931471805599453
    near = (-torch.expm1(-torch.where(small, t, torch.ones_like(t)))).log()
    return torch.where(small, near, torch.log1p(-torch.exp(-t)))
