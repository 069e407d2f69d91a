"""What is planted: eight faults, and the two presets that plant what no option of another preset does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from doctor_rows.data import digits, names, standard_cancer
from vaekit.bottlenecks import Variational
from vaekit.bottlenecks.quantizers import MovingAverageQuantizer
from vaekit.conditional import Conditional
from vaekit.data import Kind
from vaekit.distributions import Gaussian
from vaekit.networks import MLP
from vaekit.objectives import Distortion, Penalty, Rate
from vaekit.presets.discrete import quantized
from vaekit.presets.preset import Preset, around, named
from vaekit.priors import StandardNormal


@named(kinds=("images", "vectors"))
def tiny_encoder_vae(kind: Kind, latent: int = 16, hidden: int = 1) -> Preset:
    """Planted (2026): the plain VAE whose encoder has one hidden layer of one unit.

    Use it to see what the doctor says.
    """
    size = int(np.prod(kind.shape))
    encoder = nn.Sequential(nn.Flatten(), MLP(size, 2 * latent, hidden=(hidden,)))
    head = Conditional(nn.Identity(), Gaussian())
    return Preset(
        around(kind, latent, Variational(head, StandardNormal(latent)), encoder=encoder),
        Distortion() + Rate(),
    )


@named(kinds=("images", "vectors"))
def dead_codes_vae(kind: Kind, latent: int = 16, codes: int = 512) -> Preset:
    """Planted (2026): a VQ-VAE whose codebook neither begins at data nor revives codes that nobody chooses.

    Use it to see what the doctor says.
    """
    quantizer = MovingAverageQuantizer(codes, latent, revive=0.0)
    quantizer.started.fill_(True)
    return Preset(quantized(kind, quantizer), Distortion() + Penalty())


class Fault(NamedTuple):
    """What is planted and how it is to be named.

    Attributes:
        says: In words.
        named: The check that is to be the first alarm.
        data: seed → what it is trained on.
        options: Of `vaekit.fit`.
        word: What the evidence is to say besides.
    """

    says: str
    named: str
    data: Callable[[int], Any]
    options: dict[str, Any]
    word: str = ""


FAULTS = {
    "kl100": Fault("KL weight 100", "latent", digits, {"preset": "beta_vae", "beta": 100.0, "steps": 800}, "100"),
    "chain": Fault("autoregressive decoder", "latent", names, {"preset": "vae", "steps": 300}, "autoregressive"),
    "sigma1": Fault("σ fixed at 1", "scale", standard_cancer,
                    {"preset": "vae", "latent": 8, "likelihood": "gaussian:1", "steps": 500}, "too large"),
    "sigma001": Fault("σ fixed at 0.01", "scale", standard_cancer,
                      {"preset": "vae", "latent": 8, "likelihood": "gaussian:0.01", "steps": 500}, "too small"),
    "dead": Fault("dead codes", "codebook", digits, {"preset": "dead_codes_vae", "steps": 800}),
    "tenfold": Fault("tenfold latent", "units", standard_cancer, {"preset": "vae", "latent": 150, "steps": 500}),
    "encoder": Fault("tiny encoder", "inference", standard_cancer,
                     {"preset": "tiny_encoder_vae", "hidden": 1, "latent": 8, "steps": 800}),
    "hole": Fault("prior hole", "prior", digits, {"preset": "beta_vae", "beta": 0.01, "steps": 600}),
}  # fmt: skip
