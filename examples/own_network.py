"""A network of your own as the encoder; saved and opened again without any code in the file."""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

import vaekit
from vaekit import VAE, persistence
from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Images
from vaekit.distributions import Gaussian
from vaekit.networks import ConvDecoder
from vaekit.objectives import Distortion, Rate
from vaekit.priors import StandardNormal
from vaekit.training import fit


@vaekit.configurable
class Patches(nn.Module):
    """Every patch is projected, and the projections are averaged."""

    def __init__(self, side: int, outputs: int) -> None:
        super().__init__()
        self.side, self.outputs = side, outputs  # constructor arguments are kept under their own names
        self.project = nn.Conv2d(1, outputs, side, stride=side)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, outputs)."""
        return self.project(x).relu().mean((2, 3))


kind = Images(1, 16, 16)
family = kind.family
model = VAE(
    Patches(4, 64),
    Variational(Conditional(nn.Linear(64, 16), Gaussian()), StandardNormal(8)),
    Conditional(ConvDecoder(8, (family.size(1), 16, 16)), family),
)
images = torch.rand(256, 1, 16, 16).round()
fit(model, Distortion() + Rate(), images, steps=50, batch_size=64)

folder = persistence.save(Path(tempfile.mkdtemp()) / "model", model, kind)
again, kind, _ = persistence.load(folder)
print("identical after opening:", torch.equal(again.encode(images[:4]), model.encode(images[:4])))
