"""Networks: `net(x, c=None)`, sized from the data."""

from vaekit.networks.condition import FiLM
from vaekit.networks.conv import ConvDecoder, ConvEncoder
from vaekit.networks.mlp import MLP

__all__ = ["MLP", "ConvDecoder", "ConvEncoder", "FiLM"]
