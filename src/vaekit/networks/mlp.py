"""The multilayer perceptron, from items of any shape to items of any shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from vaekit.networks.condition import FiLM
from vaekit.recipes import configurable

Shape = int | Sequence[int]
# a likelihood's parameters begin near zero: near the middle of its range, with its first scale
DECODER_GAIN = 0.1


@configurable
class MLP(nn.Module):
    """Linear layers with SiLU between them.

    Args:
        inputs: Width of the input, or the shape of an item to flatten.
        outputs: Width of the output, or the shape to give it.
        hidden: Widths of the hidden layers.
        condition: Width A of a condition that modulates every hidden layer; 0 for none.
        masked: Whether the mask of observed values is a second input.
        gain: Size of the outputs at the start, for inputs of size one; decoders begin small, near the middle of a
            family's range.
        linear: Whether a linear map of the inputs and of the condition, zero at first, is added to the outputs.

    Example:
        >>> MLP((1, 28, 28), 64)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 64])
        >>> MLP(32, (1, 28, 28), hidden=(400,))(torch.zeros(2, 32)).shape
        torch.Size([2, 1, 28, 28])
    """

    def __init__(
        self,
        inputs: Shape,
        outputs: Shape,
        hidden: Sequence[int] = (400, 400),
        condition: int = 0,
        masked: bool = False,
        gain: float = 1.0,
        linear: bool = False,
    ) -> None:
        super().__init__()
        if condition and not hidden:
            raise ValueError("a condition needs a hidden layer to enter")
        self.inputs, self.outputs, self.hidden = inputs, outputs, tuple(hidden)
        self.condition, self.masked, self.gain, self.linear = condition, masked, gain, linear
        first, last = size(inputs) * (1 + masked), size(outputs)
        widths = [first, *hidden]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.films = nn.ModuleList(FiLM(width, condition) for width in hidden)
        self.last = nn.Linear(widths[-1], last)
        self.across = nn.Linear(first + condition, last, bias=False) if linear else None
        self.activation = nn.SiLU()
        keep_variance(self.layers)
        keep_variance([self.last], gain)
        if self.across is not None:
            nn.init.zeros_(self.across.weight)

    def forward(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """(N, *inputs) → (N, *outputs)."""
        h = x.flatten(1)  # (N, inputs)
        if self.masked:
            seen = torch.ones_like(h) if mask is None else mask.flatten(1).to(h.dtype)
            h = torch.cat([h, seen], 1)  # (N, 2 · inputs)
        first = h
        for layer, film in zip(self.layers, self.films, strict=True):
            h = self.activation(film(layer(h), c))
        h = self.last(h)
        if self.across is not None:
            first = torch.cat([first, c], 1) if self.condition and c is not None else first
            h = torch.addmm(h, first, self.across.weight.T)
        return h if isinstance(self.outputs, int) else h.unflatten(1, tuple(self.outputs))


def keep_variance(layers: Iterable[nn.Module], gain: float = 2**0.5, inputs: int = 0) -> None:
    """Draw weights so that a signal keeps its size on its way through the layers, and set biases to zero.

    Args:
        layers: Linear layers or convolutions.
        gain: Size of the output for an input of size one; √2 makes up for the activation that follows.
        inputs: How many values each output hears; by default what the weight's shape says.

    torch's own default shrinks it by about three in each layer; after a few, the latent tells the decoder nothing at
    first, and many of its dimensions are given up before they are of use (LOG.md has the figures).

    Source: He, Zhang, Ren, Sun (2015), Delving deep into rectifiers, arXiv:1502.01852.
    """
    for layer in layers:
        heard = inputs or layer.weight[0].numel()  # type: ignore[index]
        nn.init.normal_(layer.weight, std=gain / heard**0.5)  # type: ignore[arg-type]
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def size(shape: Shape) -> int:
    """How many numbers an item of a shape has.

    Example:
        >>> size(5), size((3, 4))
        (5, 12)
    """
    return shape if isinstance(shape, int) else math.prod(shape)
