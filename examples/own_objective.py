"""A term of your own, and the training loop as a generator: logging and stopping are the body of the loop."""

import torch
from torch import Tensor

from vaekit import presets
from vaekit.data import Vectors
from vaekit.model import Pass
from vaekit.objectives import Distortion, Rate, Term, linear
from vaekit.training import train


class Sparsity(Term):
    """The mean absolute value of the code, (N,)."""

    def forward(self, out: Pass, step: int) -> Tensor:
        return out.z.abs().sum(1)


rows = torch.randn(1_000, 3) @ torch.randn(3, 10) + 0.1 * torch.randn(1_000, 10)
model, _ = presets.vae(Vectors(10), latent=5)
objective = Distortion() + linear(0, 1, 200) * Rate() + 0.05 * Sparsity()
print(objective)
for progress in train(model, objective, rows, steps=400, lr=2e-3):
    if progress.step % 100 == 0:
        out = progress.out
        print(
            f"step {progress.step}: distortion {out.distortion.mean():.2f}, rate {out.rate.mean():.2f} nats"
        )
