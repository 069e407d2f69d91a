"""Adam over torch's own fused step, with its state as plain tensors.

`torch.optim.Adam` imports the compiler on first use, which costs about as much as torch itself; the functional step
does not. The fused step also clips (by `grad_scale`) and skips a step that is not finite (by `found_inf`) without
asking the device for an answer.

Source: Kingma, Ba (2015), Adam, arXiv:1412.6980; Loshchilov, Hutter (2019), arXiv:1711.05101 (decoupled decay).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.adam import adam


@dataclass(frozen=True)
class Adam:
    """How parameters move.

    Args:
        lr: Learning rate, before any decay.
        betas: Decay of the two running moments.
        eps: Added to the denominator.
        weight_decay: Decoupled decay of the weights.
        clip: Largest norm of a player's whole gradient; longer ones are scaled down. None never clips.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None

    def start(self, parameters: Sequence[nn.Parameter]) -> Moments:
        """The optimizer's state before the first step."""
        return Moments(
            list(parameters),
            [torch.zeros_like(p) for p in parameters],
            [torch.zeros_like(p) for p in parameters],
            [torch.zeros((), dtype=torch.float32, device=p.device) for p in parameters],
        )

    def step(self, moments: Moments, gradients: list[Tensor], lr: float, norm: Tensor, bad: Tensor) -> None:
        """Move the parameters in place.

        Args:
            moments: State, changed in place.
            gradients: One for each parameter.
            lr: This step's learning rate.
            norm: Norm of the whole gradient, ().
            bad: 1 where nothing may move because something was not finite, else 0, ().
        """
        scale = None if self.clip is None else (norm / self.clip).clamp(min=1).to(torch.float32)
        adam(
            list[Tensor](moments.parameters), gradients, moments.first, moments.second, [], moments.steps,
            fused=True, grad_scale=scale, found_inf=bad, amsgrad=False, maximize=False,
            beta1=self.betas[0], beta2=self.betas[1], lr=lr, weight_decay=self.weight_decay, eps=self.eps,
            decoupled_weight_decay=True,
        )  # fmt: skip


@dataclass
class Moments:
    """Adam's running moments, a tensor each for each parameter."""

    parameters: list[nn.Parameter]
    first: list[Tensor]
    second: list[Tensor]
    steps: list[Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """What must be saved to go on exactly."""
        named = {"first": self.first, "second": self.second, "steps": self.steps}
        return {f"{name}.{i}": t for name, ts in named.items() for i, t in enumerate(ts)}
