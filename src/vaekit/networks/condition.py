"""How a condition enters a network: it scales and shifts features, layer by layer."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.recipes import configurable


@configurable
class FiLM(nn.Module):
    """Feature-wise modulation: h ← h · (1 + γ(c)) + β(c); at the beginning it changes nothing.

    Args:
        features: Number of features or channels of h, on axis 1.
        condition: Width A of c; 0 makes it the identity.

    Source: Perez, Strub, de Vries, Dumoulin, Courville (2018), FiLM, arXiv:1709.07871.
    """

    def __init__(self, features: int, condition: int) -> None:
        super().__init__()
        self.features, self.condition = features, condition
        self.net = nn.Linear(condition, 2 * features) if condition else None
        if self.net is not None:
            nn.init.zeros_(self.net.weight)
            nn.init.zeros_(self.net.bias)

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """Features (N, F, …) and condition (N, A) → (N, F, …)."""
        if self.net is None:
            return h
        if c is None:
            raise ValueError(f"this network needs a condition of width {self.condition}")
        shape = (h.shape[0], -1) + (1,) * (h.dim() - 2)
        gain, shift = self.net(c.to(h.dtype)).chunk(2, 1)  # (N, F) each
        return h * (1 + gain.reshape(shape)) + shift.reshape(shape)
