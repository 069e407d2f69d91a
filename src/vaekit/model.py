"""A VAE is an encoder, a bottleneck and a decoder; a pass through it leaves a record of everything that happened.

    log p(x) ≥ E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) = −(distortion + rate)

All of it is in nats per datum, summed over dimensions, never averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.bottlenecks import Bottleneck, Latent, once
from vaekit.distributions import MEAN, Noise, ambient, center, draw, log_prob, right
from vaekit.notebook import table
from vaekit.recipes import configurable


@dataclass
class Pass:
    """Everything one forward pass knows; N = B × K rows, the K samples of a datum side by side.

    Attributes:
        x: (N, *shape) data.
        px: p(x | z), over (N, *shape).
        latents: The random variables, top first.
        state: What the decoder received.
        mask: (N, *shape) true where observed, or None.
        c: (N, A) condition, or None.
        weight: (N,) weight of each row in a mean, or None.
        samples: K.
        model: The model that made it.
    """

    x: Tensor
    px: Distribution
    latents: list[Latent]
    state: Any
    mask: Tensor | None = None
    c: Tensor | None = None
    weight: Tensor | None = None
    samples: int = 1
    model: VAE | None = None

    @once
    def distortion(self) -> Tensor:
        """−log p(x | z), (N,) nats, over the observed values."""
        return -right(log_prob(self.px, self.x, self.mask))

    @once
    def rate(self) -> Tensor:
        """Σ KL(q ‖ p), (N,) nats, in closed form where there is one."""
        return torch.stack([right(latent.kl) for latent in self.latents]).sum(0)

    @property
    def penalty(self) -> Tensor | float:
        """What the bottleneck charges besides the rate, (N,)."""
        return sum(latent.penalty for latent in self.latents)

    @once
    def log_weight(self) -> Tensor:
        """log p(x, z) − log q(z | x), (N,) nats: the logarithm of an importance weight."""
        surprise = [latent.log_p - latent.log_q for latent in self.latents]
        return torch.stack([-self.distortion, *surprise]).sum(0)

    @property
    def z(self) -> Tensor:
        """The last latent's value, nearest the data."""
        return self.latents[-1].z


@configurable
class VAE(nn.Module):
    """A variational autoencoder: any encoder, any bottleneck, any decoder.

    Args:
        encoder: (x) or (x, c) → features h, (B, …).
        bottleneck: h → state, with the record of the random variables.
        decoder: (state) or (state, c) → p(x | z); a `Conditional`.

    Source: Kingma, Welling (2014), arXiv:1312.6114; Rezende, Mohamed, Wierstra (2014), arXiv:1401.4082.

    Example:
        >>> from vaekit.bottlenecks import Variational
        >>> from vaekit.conditional import Conditional
        >>> from vaekit.distributions import Bernoulli, Gaussian
        >>> from vaekit.priors import StandardNormal
        >>> part = Variational(Conditional(nn.Linear(8, 6), Gaussian()), StandardNormal(3))
        >>> model = VAE(nn.Linear(5, 8), part, Conditional(nn.Linear(3, 5), Bernoulli()))
        >>> model(torch.zeros(4, 5)).distortion.shape
        torch.Size([4])
    """

    def __init__(self, encoder: nn.Module, bottleneck: Bottleneck, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.bottleneck, self.decoder = encoder, bottleneck, decoder

    def _repr_html_(self) -> str:
        """What a notebook shows: the three parts, and how many numbers each learns."""
        parts = {"encoder": self.encoder, "bottleneck": self.bottleneck, "decoder": self.decoder}
        counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
        rows = [(n, f"{type(part).__name__}, {counts[n]:,} parameters") for n, part in parts.items()]
        devices = {str(p.device) for p in self.parameters()}
        state = "training" if self.training else "evaluation"
        total = sum(p.numel() for p in self.parameters())
        extra = [("parameters", f"{total:,}"), ("device", ", ".join(sorted(devices))), ("mode", state)]
        return table("VAE", [*rows, *extra], "log p(x) ≥ −(distortion + rate), nats per datum")

    def forward(
        self,
        x: Tensor,
        c: Tensor | None = None,
        mask: Tensor | None = None,
        samples: int = 1,
        noise: Noise | None = None,
        weight: Tensor | None = None,
    ) -> Pass:
        """Encode, draw, decode.

        Args:
            x: (B, *shape) data.
            c: (B, A) condition.
            mask: (B, *shape) true where observed; what is not is never seen.
            samples: K draws for each datum.
            noise: Where draws come from; by default torch's own generator.
            weight: (B,) weight of each datum in a mean.

        Returns:
            The record of N = B × K rows.
        """
        return self.observe(self.features(x, c, mask), x, c, mask, samples, noise, weight)

    def features(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Any:
        """The encoder's features h, once for each datum; values that were not observed are zero to it."""
        if mask is None:
            return self.encoder(x) if c is None else self.encoder(x, c)
        x = torch.where(mask.bool(), x, torch.zeros_like(x))
        seen = {"mask": mask} if getattr(self.encoder, "masked", False) else {}
        return self.encoder(x, **seen) if c is None else self.encoder(x, c, **seen)

    def observe(
        self,
        h: Any,
        x: Tensor,
        c: Tensor | None = None,
        mask: Tensor | None = None,
        samples: int = 1,
        noise: Noise | None = None,
        weight: Tensor | None = None,
    ) -> Pass:
        """The pass from given features on, K draws for each datum."""
        h, x, c, mask, weight = (repeat(t, samples) for t in (h, x, c, mask, weight))
        state, latents = self.bottleneck(h, c, noise=ambient() if noise is None else noise)
        px = self.likelihood(state, c)
        adapt = getattr(self.decoder, "adapt", None)
        px = px if adapt is None else adapt(px, x, mask)
        return Pass(x, px, latents, state, mask, c, weight, samples, self)

    def likelihood(self, state: Any, c: Tensor | None = None) -> Distribution:
        """p(x | z) from the decoder's state."""
        return self.decoder(state) if c is None else self.decoder(state, c)

    def posterior(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> list[Latent]:
        """The record of the random variables with each at its centre; no noise is drawn."""
        return self.bottleneck(self.features(x, c, mask), c, noise=MEAN)[1]

    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Any:
        """The centre of q(z | x), (B, *latent), in the form `decode` accepts; the same at every call."""
        return self.bottleneck.codes(self.posterior(x, c, mask))

    def decode(self, z: Any, c: Tensor | None = None, noise: Noise | None = None) -> Distribution:
        """p(x | z) for given latent values."""
        return self.likelihood(self.bottleneck(z=z, c=c, noise=ambient() if noise is None else noise)[0], c)

    def sample(
        self,
        n: int,
        c: Tensor | None = None,
        temperature: float = 1.0,
        noise: Noise | None = None,
        mean: bool = False,
    ) -> Tensor:
        """n draws from the model: z ~ p(z), x ~ p(x | z).

        Args:
            n: How many.
            c: (n, A) condition.
            temperature: Spread of the prior; 1 is the model itself.
            noise: Where draws come from.
            mean: Give each p(x | z)'s centre in place of a draw from it.

        Returns:
            (n, *shape)
        """
        if c is not None and len(c) != n:
            raise ValueError(f"{n} samples need {n} rows of conditions, not {len(c)}")
        noise = ambient() if noise is None else noise
        state, _ = self.bottleneck(c=c, n=n, noise=noise, temperature=temperature)
        px = self.likelihood(state, c)
        return center(px) if mean else draw(px, noise)[0]

    @torch.no_grad()
    def see_first(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> None:
        """Let the parts that begin from data (codebooks, pseudo-inputs) see some, before the first step."""
        self.bottleneck.see_first(lambda: self.features(x, c, mask), x)

    def commit(self, out: Pass) -> None:
        """Let the parts learn from a pass what is not learned by gradient, after the finite check."""
        self.bottleneck.commit(out)
        own = getattr(self.decoder, "commit", None)
        if own is not None:
            own(out.px)


def each(state: Any, change: Callable[[Tensor], Any]) -> Any:
    """A state with every tensor in it changed; lists and dicts stay what they are, and None stays None.

    Example:
        >>> each([torch.ones(1), {"a": torch.zeros(1)}, None], lambda t: t + 1)
        [tensor([2.]), {'a': tensor([1.])}, None]
    """
    if state is None:
        return None
    if isinstance(state, dict):
        return {name: each(part, change) for name, part in state.items()}
    if isinstance(state, list | tuple):
        return [each(part, change) for part in state]
    return change(state)


def leaves(state: Any) -> list[Tensor]:
    """The tensors of a state, in their order."""
    found: list[Tensor] = []
    each(state, found.append)
    return found


def pick(state: Any, places: slice | Tensor) -> Any:
    """Some rows of every tensor of a state."""
    return each(state, lambda t: t[places])


def repeat(state: Any, samples: int) -> Any:
    """Each row K times, side by side: (B, …) → (B·K, …); lists and dicts of tensors too."""
    return state if samples == 1 else each(state, lambda t: t.repeat_interleave(samples, 0))
