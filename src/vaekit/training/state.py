"""Everything a training run needs to go on as if it had never stopped: tensors, and a step to count from.

Order of the data and all noise are functions of (seed, purpose, step), so the step stands for both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vaekit.training.optimizer import Moments


@dataclass
class State:
    """Where training stands.

    Attributes:
        model, objective: What is trained.
        moments: Optimizer state of each player, by name.
        average: Exponential moving average of the model's parameters by name; empty if none is kept.
        step: Optimizer steps done.
        skipped: Steps that were not finite and did not happen, (); `streak`: how many of the last ones in a row.
    """

    model: nn.Module
    objective: nn.Module
    moments: dict[str, Moments]
    average: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    skipped: Tensor = field(default_factory=lambda: torch.zeros(()))
    streak: Tensor = field(default_factory=lambda: torch.zeros(()))

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by a name of its own; they are the live ones, not copies."""
        named = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        named |= {f"objective.{name}": t for name, t in self.objective.state_dict().items()}
        for player, moments in self.moments.items():
            named |= {f"moments.{player}.{name}": t for name, t in moments.tensors().items()}
        named |= {f"average.{name}": t for name, t in self.average.items()}
        return named | {"skipped": self.skipped, "streak": self.streak}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Take over saved tensors in place.

        Raises:
            ValueError: They are not those of this model and objective.
        """
        own = self.tensors()
        if set(own) != set(tensors):
            odd = sorted(set(own) ^ set(tensors))
            raise ValueError(
                f"this state belongs to another model: {odd[0]} and {len(odd) - 1} more do not match"
            )
        for name, t in own.items():
            if t.shape != tensors[name].shape:
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(t.shape)}")
            t.copy_(tensors[name])
        self.step = step
