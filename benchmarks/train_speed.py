"""Training speed beside the loop that tutorials write, in pairs in one process; prints ratios.

    python benchmarks/train_speed.py [--steps 300] [--rounds 5] [--pythae PYTHON]

Each case trains the same network with the same likelihood, batch size and optimizer. The textbook loop is a DataLoader
over a TensorDataset, `torch.optim.Adam`, sigmoid and binary cross-entropy (or a squared error), and the KL written out.
`--pythae` names the Python of an environment with pythae installed; its own trainer then runs the same cases there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from vaekit import VAE
from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Images, Items, Kind, Vectors
from vaekit.distributions import Bernoulli, Fixed, Gaussian
from vaekit.objectives import Distortion, Rate
from vaekit.priors import StandardNormal
from vaekit.training import train


@dataclass
class Case:
    """One network on one kind of data."""

    name: str
    kind: Kind
    raw: Tensor  # as a user has it
    encoder: Callable[[], nn.Module]  # x -> features
    features: int
    latent: int
    decoder: Callable[[], nn.Module]
    batch: int
    bits: bool  # Bernoulli, else a Gaussian of scale 1


def mlp(*widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers = [
        part for a, b in zip(widths, widths[1:], strict=False) for part in (nn.Linear(a, b), activation())
    ]
    return nn.Sequential(*layers[:-1])


def cases() -> list[Case]:
    generator = torch.Generator().manual_seed(0)
    grey = torch.randint(0, 256, (20_000, 1, 28, 28), generator=generator, dtype=torch.uint8)
    rows = torch.randn(20_000, 30, generator=generator)

    def conv() -> nn.Module:
        convs = [nn.Conv2d(a, b, 4, 2, 1) for a, b in ((1, 32), (32, 64), (64, 128))]
        layers = [part for c in convs for part in (c, nn.ReLU())]
        return nn.Sequential(*layers, nn.Flatten())  # 28 -> 14 -> 7 -> 3

    def deconv() -> nn.Module:
        return nn.Sequential(
            nn.Linear(16, 128 * 9), nn.ReLU(), nn.Unflatten(1, (128, 3, 3)),
            nn.ConvTranspose2d(128, 64, 3, 2), nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1),
        )  # fmt: skip

    image = Images(1, 28, 28, family=Bernoulli())
    return [
        Case(
            "MLP 784-512-20-512-784, batch 128", image, grey,
            lambda: nn.Sequential(nn.Flatten(), mlp(784, 512), nn.ReLU()), 512, 20,
            lambda: nn.Sequential(mlp(20, 512, 784), nn.Unflatten(1, (1, 28, 28))), 128, True,
        ),
        Case("conv 32-64-128, latent 16, batch 128", image, grey, conv, 1152, 16, deconv, 128, True),
        Case(
            "table 30-128-8, batch 256", Vectors(30, family=Gaussian(Fixed(1.0))), rows,
            lambda: nn.Sequential(mlp(30, 128), nn.ReLU()), 128, 8, lambda: mlp(8, 128, 30), 256, False,
        ),
    ]  # fmt: skip


def ours(case: Case, steps: int) -> float:
    """Seconds of a step with vaekit's loop."""
    family = Bernoulli() if case.bits else Gaussian(Fixed(1.0))
    posterior = Conditional(nn.Linear(case.features, 2 * case.latent), Gaussian())
    model = VAE(
        case.encoder(),
        Variational(posterior, StandardNormal(case.latent)),
        Conditional(case.decoder(), family),
    )
    run = train(
        model,
        Distortion() + Rate(),
        Items(case.raw, case.kind),
        steps=steps + 20,
        batch_size=case.batch,
        lr=1e-3,
    )
    return timed(run, steps)


class Textbook(nn.Module):
    """The VAE of the tutorials."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.encoder, self.decoder = case.encoder(), case.decoder()
        self.mean, self.log_variance = (
            nn.Linear(case.features, case.latent),
            nn.Linear(case.features, case.latent),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decoder(z), mean, log_variance


def textbook(case: Case, steps: int) -> float:
    """Seconds of a step with the loop that tutorials write."""
    data = case.raw.float() / 255 if case.bits else case.raw
    loader = DataLoader(TensorDataset(data), batch_size=case.batch, shuffle=True, drop_last=True)
    model = Textbook(case)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run():  # noqa: ANN202
        while True:
            for (x,) in loader:
                made, mean, log_variance = model(x)
                if case.bits:
                    loss = functional.binary_cross_entropy(torch.sigmoid(made), x, reduction="sum")
                else:
                    loss = 0.5 * functional.mse_loss(made, x, reduction="sum")
                kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
                loss = (loss + kl) / len(x)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                yield loss.item()

    return timed(run(), steps)


def timed(run, steps: int, warm: int = 20) -> float:  # noqa: ANN001
    for _ in range(warm):
        next(run)
    began = time.perf_counter()
    for _ in range(steps):
        next(run)
    return (time.perf_counter() - began) / steps


def pythae(python: str, name: str, steps: int) -> float:
    """Seconds of a step of pythae's trainer in its own environment."""
    script = Path(__file__).with_name("pythae_speed.py")
    out = subprocess.run(
        [python, str(script), name, str(steps)], capture_output=True, text=True, check=True
    ).stdout
    return float(json.loads(out.strip().splitlines()[-1])["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--pythae", default="")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(
        f"torch {torch.__version__}, {chosen.threads} threads, medians of {chosen.rounds} rounds",
        file=sys.stderr,
    )
    print(
        f"{'case':40} {'ours ms':>9} {'textbook':>9} {'ratio':>6} {'(min–max)':>13} {'pythae':>9} {'ratio':>6}"
    )
    for case in cases():
        if chosen.only not in case.name:
            continue
        pairs = [(ours(case, chosen.steps), textbook(case, chosen.steps)) for _ in range(chosen.rounds)]
        ratios = sorted(b / a for a, b in pairs)
        mine, theirs = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
        line = f"{case.name:40} {mine:9.3f} {theirs:9.3f} {statistics.median(ratios):6.2f}"
        line += f" {ratios[0]:6.2f}–{ratios[-1]:.2f}"
        if chosen.pythae:
            other = pythae(chosen.pythae, case.name.split()[0], chosen.steps) * 1e3
            line += f" {other:9.3f} {other / mine:6.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
