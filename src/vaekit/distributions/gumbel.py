"""One-hot vectors, drawn hard, or relaxed so that a gradient passes: the Gumbel-softmax.

z = softmax((logits + g) / τ),  g = −log(−log u)
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch import distributions as D
from torch.distributions import register_kl
from torch.nn import functional

from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import center, tempered
from vaekit.recipes import configurable


class OneHot(D.Distribution):
    """G independent categories of K levels, as vectors of G·K numbers; each group counts as one random variable.

    Args:
        logits: (…, G, K).
        temperature: τ of relaxed draws; 0 for one-hot draws.
    """

    arg_constraints: dict = {}

    def __init__(self, logits: Tensor, temperature: float = 0.0) -> None:
        self.logits, self.temperature = logits.log_softmax(-1), temperature
        super().__init__(logits.flatten(-2).shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.temperature > 0

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ value · log p over a group's levels, (…, G) nats, of one-hot values.

        Raises:
            ValueError: Draws are relaxed, so that their density is another one.
        """
        if self.temperature:
            raise ValueError(
                "relaxed one-hot latents have no likelihood weight: evaluate the model after model.eval(), where draws "
                "are one-hot, and train it by Distortion() + Rate()"
            )
        return (value.unflatten(-1, self.logits.shape[-2:]) * self.logits).sum(-1)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        gumbel = -(-noise.uniform(self.logits.shape, self.logits).log()).log()
        reached = self.logits + gumbel  # (…, G, K)
        z = (reached / self.temperature).softmax(-1) if self.temperature else hard(reached)
        return z.flatten(-2), None

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> OneHot:
        shape = (*batch_shape[:-1], *self.logits.shape[-2:])
        return OneHot(self.logits.expand(shape), self.temperature)

    def entropy(self) -> Tensor:
        """Of each group, (…, G) nats."""
        return -(self.logits.exp() * self.logits).sum(-1)

    @property
    def mean(self) -> Tensor:
        return self.logits.exp().flatten(-2)

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 - self.mean)


@configurable
class GumbelSoftmax(nn.Module):
    """Categories as one-hot vectors: relaxed draws while training, one-hot ones in evaluation mode.

    Params (N, G·K) are logits. The KL between two of them is that of the categories, in closed form; since it does not
    see the relaxation, D + R bounds the likelihood in evaluation mode only.

    Args:
        levels: K, categories of each group.
        temperature: τ of relaxed draws; nearer 0 they are nearer one-hot and their gradient is noisier.

    Source: Jang, Gu, Poole (2017), arXiv:1611.01144; Maddison, Mnih, Teh (2017), arXiv:1611.00712.

    Example:
        >>> import torch
        >>> GumbelSoftmax(3).eval()(torch.zeros(2, 6)).entropy().shape
        torch.Size([2, 2])
    """

    discrete = True

    def __init__(self, levels: int, temperature: float = 0.67) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"the temperature of relaxed draws is above 0, not {temperature}")
        self.levels, self.temperature = levels, temperature

    def size(self, dim: int) -> int:
        """Parameters of `dim` latent numbers, K for each group of K."""
        return dim

    def forward(self, params: Tensor) -> OneHot:
        logits = params.unflatten(1, (-1, self.levels))  # (N, G, K)
        return OneHot(logits, self.temperature if self.training else 0.0)


def hard(logits: Tensor) -> Tensor:
    """The one-hot vector of the largest, (…, K)."""
    return functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)


@register_kl(OneHot, OneHot)
def _(q: OneHot, p: OneHot) -> Tensor:
    """Σ q log(q / p) of each group's categories, (N, G)."""
    return (q.logits.exp() * (q.logits - p.logits)).sum(-1)


@center.register
def _(d: OneHot) -> Tensor:
    """The most probable one-hot vectors."""
    return hard(d.logits).flatten(-2)


@tempered.register
def _(p: OneHot, temperature: float) -> D.Distribution:
    """Logits divided by the temperature: below 1 the probable becomes more so."""
    return p if temperature == 1 else OneHot(p.logits / temperature, p.temperature)
