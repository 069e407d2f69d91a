"""Can a whole training step — pass, record, objective, backward, fused update — be compiled as one program?

    python benchmarks/compile_step.py [--steps 300] [--backend inductor]

The step runs the real model, the real record (`Pass`, `Latent`) and the real objective; the noise is drawn outside and
handed in. Prints seconds to compile, seconds of a step eager and compiled, graph breaks, and the largest difference
between the weights that the two end in.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from vaekit import presets
from vaekit.data import Images, Kind, Vectors
from vaekit.distributions import Bernoulli, Noise
from vaekit.model import VAE
from vaekit.objectives import Term
from vaekit.training import Adam
from vaekit.training.optimizer import Moments


class Given(Noise):
    """Noise that was drawn before: the compiled program takes it as an input."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def normal(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        return self.values


def step_of(model: VAE, objective: Term, written_out: bool):  # noqa: ANN201
    """One whole step as a function of the batch and the noise.

    Eager, the update is torch's fused Adam. That one refuses to be traced, so the compiled step has Adam written out,
    which the compiler fuses itself.
    """
    parameters = list(model.parameters())
    moments = Adam().start(parameters)
    bad = torch.zeros(())

    def step(x: Tensor, eps: Tensor) -> Tensor:
        out = model(x, noise=Given(eps))
        loss = objective(out, 0)
        gradients = torch.autograd.grad(loss, parameters)
        if written_out:
            _adam(moments, gradients)
        else:
            Adam().step(moments, list(gradients), 1e-3, loss, bad)
        return loss.detach()

    return step


@torch.no_grad()
def _adam(moments: Moments, gradients: Sequence[Tensor], lr: float = 1e-3) -> None:
    parts = zip(moments.parameters, gradients, moments.first, moments.second, moments.steps, strict=True)
    for p, g, first, second, count in parts:
        count.add_(1)
        first.lerp_(g, 0.1)
        second.mul_(0.999).addcmul_(g, g, value=0.001)
        root = (second / (1 - 0.999**count)).sqrt() + 1e-8
        p.sub_(lr / (1 - 0.9**count) * first / root)


def timed(step, batches: list[tuple[Tensor, Tensor]]) -> float:  # noqa: ANN001
    for x, eps in batches[:10]:
        step(x, eps)
    began = time.perf_counter()
    for x, eps in batches[10:]:
        step(x, eps)
    return (time.perf_counter() - began) / (len(batches) - 10)


def compare(name: str, kind: Kind, latent: int, batch: int, steps: int, backend: str) -> None:
    torch.manual_seed(0)
    model, objective = presets.vae(kind, latent=latent)
    twin, formula = copy.deepcopy(model), copy.deepcopy(objective)
    batches = [(torch.rand(batch, *kind.shape), torch.randn(batch, latent)) for _ in range(steps + 10)]
    eager = step_of(model, objective, written_out=False)
    # trace_autograd_ops lets the backward pass into the same graph as the forward pass
    torch._dynamo.config.trace_autograd_ops = True
    compiled = torch.compile(step_of(twin, formula, written_out=True), backend=backend, fullgraph=True)
    began = time.perf_counter()
    compiled(*batches[0])
    cost = time.perf_counter() - began
    eager(*batches[0])
    slow, fast = timed(eager, batches), timed(compiled, batches)
    far = max(float((a - b).abs().max()) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    print(f"{name}: compile {cost:.1f} s, eager {slow * 1e3:.3f} ms, compiled {fast * 1e3:.3f} ms, "
          f"ratio {slow / fast:.2f}, largest difference {far:.2e}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--backend", default="inductor")
    chosen = parser.parse_args()
    compare("table 30", Vectors(30), 8, 256, chosen.steps, chosen.backend)
    compare("MLP 28x28", Images(1, 28, 28, family=Bernoulli()), 20, 128, chosen.steps, chosen.backend)


if __name__ == "__main__":
    main()
