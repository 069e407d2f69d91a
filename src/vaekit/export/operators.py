"""Functions that ONNX has no operator for, or whose usual translation loses digits where likelihoods need them.

The usual log σ(x) is log of a rounded σ(x), −∞ below −88; the usual expm1 and log1p round 1 + x first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

FAR = 8.0  # from here on the asymptotic series below are exact to float32's last digits
STIRLING = (1 / 12, -1 / 360, 1 / 1260)  # of log Γ(x), in 1/x, 1/x³, 1/x⁵
DIGAMMA = (-1 / 12, 1 / 120, -1 / 252)  # of ψ(x), in 1/x², 1/x⁴, 1/x⁶

Operators = Any  # an operator set of onnxscript: `op.Add(a, b)` is a node of the graph
Value = Any  # what goes along the edges of the graph


def translations() -> dict[Callable, Callable]:
    """Operations of torch → how they are written; for `torch.onnx.export`."""
    from onnxscript import opset18 as op

    aten = torch.ops.aten
    found = {
        aten.log_sigmoid.default: log_sigmoid, aten.expm1.default: expm1, aten.log1p.default: log1p,
        aten.lgamma.default: lgamma, aten.digamma.default: digamma,
    }  # fmt: skip
    return {operation: _given(op, write) for operation, write in found.items()}


def _given(op: Operators, write: Callable[[Operators, Value], Value]) -> Callable[[Value], Value]:
    """A translation as the exporter calls it, with the value alone."""

    def translated(x: Value) -> Value:
        return write(op, x)

    return translated


def log_sigmoid(op: Operators, x: Value) -> Value:
    """log σ(x) = −log(1 + e^{−x})."""
    return op.Neg(op.Softplus(op.Neg(x)))


def expm1(op: Operators, x: Value) -> Value:
    """e^x − 1 = tanh(x / 2) · (e^x + 1)."""
    return op.Mul(op.Tanh(op.Mul(x, _as(op, 0.5, x))), op.Add(op.Exp(x), _as(op, 1.0, x)))


def log1p(op: Operators, x: Value) -> Value:
    """log(1 + x) = log(u) · x / (u − 1) with u = 1 + x as it is rounded; x where u is 1.

    Source: Goldberg (1991), What every computer scientist should know about floating-point arithmetic.
    """
    one = _as(op, 1.0, x)
    u = op.Add(one, x)
    rounded = op.Sub(u, one)
    lost = op.Equal(rounded, _as(op, 0.0, x))
    near = op.Less(op.Abs(x), one)  # farther out, ∞ / ∞ would not be a number, and nothing is lost
    right = op.Mul(op.Log(u), op.Div(x, op.Where(lost, one, rounded)))
    return op.Where(lost, x, op.Where(near, right, op.Log(u)))


def lgamma(op: Operators, x: Value) -> Value:
    """log Γ(x) for x > 0: log Γ(x + 8) − log(x (x + 1) ⋯ (x + 7)) below 8, and Stirling's series."""
    near, y = _moved(op, x)
    inverse = op.Div(_as(op, 1.0, x), y)
    series = op.Mul(inverse, _polynomial(op, STIRLING, op.Mul(inverse, inverse)))
    whole = op.Sub(op.Mul(op.Sub(y, _as(op, 0.5, x)), op.Log(y)), y)
    far = op.Add(op.Add(whole, _as(op, 0.5 * math.log(2 * math.pi), x)), series)
    low = op.Min(x, _as(op, FAR, x))
    product = low
    for k in range(1, int(FAR)):
        product = op.Mul(product, op.Add(low, _as(op, float(k), x)))
    return op.Where(near, op.Sub(far, op.Log(product)), far)


def digamma(op: Operators, x: Value) -> Value:
    """ψ(x) for x > 0: ψ(x + 8) − 1/x − ⋯ − 1/(x + 7) below 8, and the asymptotic series."""
    near, y = _moved(op, x)
    one = _as(op, 1.0, x)
    inverse = op.Div(one, y)
    square = op.Mul(inverse, inverse)
    series = op.Mul(square, _polynomial(op, DIGAMMA, square))
    far = op.Add(op.Sub(op.Log(y), op.Mul(_as(op, 0.5, x), inverse)), series)
    total = op.Div(one, x)
    for k in range(1, int(FAR)):
        total = op.Add(total, op.Div(one, op.Add(x, _as(op, float(k), x))))
    return op.Where(near, op.Sub(far, total), far)


def _moved(op: Operators, x: Value) -> tuple[Value, Value]:
    """Where x is below 8, and x moved beyond it there."""
    edge = _as(op, FAR, x)
    near = op.Less(x, edge)
    return near, op.Where(near, op.Add(x, edge), x)


def _polynomial(op: Operators, coefficients: tuple[float, ...], x: Value) -> Value:
    """By Horner's rule, the constant first."""
    found = _as(op, coefficients[-1], x)
    for coefficient in reversed(coefficients[:-1]):
        found = op.Add(_as(op, coefficient, x), op.Mul(x, found))
    return found


def _as(op: Operators, number: float, like: Value) -> Value:
    """A constant of the type of another value."""
    return op.CastLike(number, like)
