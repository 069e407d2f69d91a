"""Networks: `net(x, c=None)`, sized from the data."""

from vaekit.networks.cells import Cells
from vaekit.networks.condition import FiLM
from vaekit.networks.conv import ConvDecoder, ConvEncoder
from vaekit.networks.log_counts import LogCounts
from vaekit.networks.mlp import DECODER_GAIN, MLP

__all__ = ["DECODER_GAIN", "MLP", "Cells", "ConvDecoder", "ConvEncoder", "FiLM", "LogCounts"]
