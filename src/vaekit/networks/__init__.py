"""Networks: `net(x, c=None)`, sized from the data."""

from vaekit.networks.blocks import ConvBlock, DenseBlock, Residual
from vaekit.networks.cells import Cells
from vaekit.networks.condition import FiLM
from vaekit.networks.conv import ConvDecoder, ConvEncoder
from vaekit.networks.critic import Critic
from vaekit.networks.log_counts import LogCounts
from vaekit.networks.maps import MapDecoder, MapEncoder
from vaekit.networks.mlp import DECODER_GAIN, MLP
from vaekit.networks.parts import EachPart, SideBySideDecoder
from vaekit.networks.pixel import PixelNetwork
from vaekit.networks.pyramid import DensePyramid, Pyramid
from vaekit.networks.sequence import CausalTransformer, RecurrentDecoder, RecurrentEncoder

__all__ = [
    "CausalTransformer", "Cells", "ConvBlock", "ConvDecoder", "ConvEncoder", "Critic", "DECODER_GAIN",
    "DenseBlock", "DensePyramid", "EachPart", "FiLM", "LogCounts", "MLP", "MapDecoder", "MapEncoder",
    "PixelNetwork", "Pyramid", "RecurrentDecoder", "RecurrentEncoder", "Residual", "SideBySideDecoder",
]  # fmt: skip
