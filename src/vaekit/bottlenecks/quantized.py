"""Discrete codes: z is what a quantizer makes of the features, charged against a prior over codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vaekit.bottlenecks.bottleneck import Bottleneck, Latent, needed
from vaekit.bottlenecks.quantizers import Quantizer
from vaekit.distributions import MEAN, Noise, PointMass, draw, rows, tempered
from vaekit.recipes import configurable

if TYPE_CHECKING:
    from vaekit.model import Pass


@dataclass
class Coded(Latent):
    """The record of codes; they are certain given x, so that their KL is their code length, −log p(z).

    Attributes:
        h: (N, D, *grid) the features that were quantised; None where there were none.
    """

    h: Tensor | None = None


@configurable
class Quantized(Bottleneck):
    """The bottleneck of the VQ-VAE and its relatives: z = codes of h, which the same features always get.

    Args:
        quantizer: Features (N, D, *grid) to codes and back.
        prior: c → p(codes | c), or () → p(codes).

    Source: van den Oord, Vinyals, Kavukcuoglu (2017), Neural discrete representation learning, arXiv:1711.00937.

    Example:
        >>> from vaekit.bottlenecks.quantizers import VectorQuantizer
        >>> from vaekit.priors.codes import UniformCodes
        >>> part = Quantized(VectorQuantizer(16, 3), UniformCodes((4,), 16))
        >>> state, [latent] = part(torch.zeros(2, 3, 4))
        >>> state.shape, latent.z.shape, round(float(latent.kl[0].sum()), 3)  # 4 log 16
        (torch.Size([2, 3, 4]), torch.Size([2, 4]), 11.09)
    """

    discrete = True

    def __init__(self, quantizer: Quantizer, prior: nn.Module) -> None:
        super().__init__()
        self.quantizer, self.prior = quantizer, prior

    def forward(
        self,
        h: Any = None,
        c: Tensor | None = None,
        z: Any = None,
        n: int | None = None,
        noise: Noise = MEAN,
        temperature: float = 1.0,
    ) -> tuple[Tensor, list[Latent]]:
        p = self.prior(c)
        if h is not None and z is None:
            codes, state, penalty = self.quantizer(h)
            return state, [Coded(codes, PointMass(codes), p, penalty, h=h)]
        if z is None:
            p = tempered(p, temperature)
            z = draw(rows(p, needed(n)) if c is None else p, noise)[0].long()
            return self.quantizer.embed(z), [Coded(z, p, p)]
        z = self.checked(z)
        return self.quantizer.embed(z), [Coded(z, PointMass(z), p)]

    def checked(self, codes: Tensor) -> Tensor:
        """Codes, if there are such.

        Raises:
            ValueError: They are no whole numbers, or a code is outside the codebook.
        """
        levels = self.quantizer.levels
        if codes.is_floating_point():
            raise ValueError(f"codes are whole numbers, as `encode` gives them, not {codes.dtype}")
        most = torch.as_tensor(levels, device=codes.device)
        if most.dim() and codes.shape[-1:] != most.shape:
            raise ValueError(
                f"codes have {len(most)} entries on the last axis, not shape {tuple(codes.shape)}"
            )
        if torch.compiler.is_exporting():  # a traced program cannot look at values
            return codes
        if codes.numel() and bool(((codes < 0) | (codes >= most)).any()):
            ends = f"{levels - 1}" if isinstance(levels, int) else f"{[count - 1 for count in levels]}"
            raise ValueError(
                f"codes run from 0 to {ends}; these run from {int(codes.min())} to {int(codes.max())}"
            )
        return codes

    def with_prior(self, prior: nn.Module) -> Quantized:
        return Quantized(self.quantizer, prior)

    def see_first(self, features: Callable[[], Any], x: Tensor) -> None:
        self.quantizer.see_first(features())

    def commit(self, out: Pass) -> None:
        latent = out.latents[0]
        if isinstance(latent, Coded) and latent.h is not None:
            self.quantizer.commit(latent.h.detach(), latent.z, out.weight)

    def between(self, start: Any, end: Any, weight: Tensor) -> Tensor:
        """The line between the embeddings, quantised again at each point."""
        a, b = self.quantizer.embed(self.checked(start)), self.quantizer.embed(self.checked(end))
        return self.quantizer.closest(super().between(a, b, weight.to(a.dtype)))

    def scan(self, steps: int, reach: float) -> Tensor:
        """Codes from the first to the last, evenly; to the last that every entry has, where they differ."""
        levels = self.quantizer.levels
        last = (levels if isinstance(levels, int) else min(levels)) - 1
        return torch.linspace(0, last, steps).round()
