"""A distribution as it is now: the same density, through whose parameters no gradient flows."""

from __future__ import annotations

import copy
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from torch import Tensor, nn
from torch.distributions import Distribution, Transform

HIDING = (nn.Module, FunctionType, MethodType, partial)  # gradient can hide in what these hold


def detach(q: Distribution) -> Distribution:
    """A copy of q with detached parameters: ∂ log q(z) reaches z and nothing else.

    Args:
        q: A distribution whose parameters are tensors of its own, however deeply nested.

    Returns:
        The copy; it shares its numbers with q.

    Raises:
        TypeError: Networks stand between parameters and density (a flow), so that no copy can hold still.

    Source: Roeder, Wu, Duvenaud (2017), Sticking the landing, arXiv:1703.09194.

    Example:
        >>> import torch
        >>> q = torch.distributions.Normal(torch.zeros(2, requires_grad=True), 1.0)
        >>> q.log_prob(torch.zeros(2)).requires_grad, detach(q).log_prob(torch.zeros(2)).requires_grad
        (True, False)
    """
    try:
        return _still(q, {})
    except TypeError as error:
        raise TypeError(
            f"{type(q).__name__} computes its density with networks, so its parameters cannot be detached; "
            "use a posterior whose parameters are numbers (Gaussian, FullGaussian, Laplace), or the plain bound"
        ) from error


def _still(part: Any, made: dict[int, Any]) -> Any:
    """A tensor without its history, and whatever holds tensors with each of them so."""
    if isinstance(part, Tensor):
        return part.detach()
    if isinstance(part, dict):
        return {name: _still(value, made) for name, value in part.items()}
    if type(part) in (list, tuple):
        return type(part)(_still(value, made) for value in part)
    if isinstance(part, HIDING):
        raise TypeError(f"a {type(part).__name__} cannot be held still")
    return _copied(part, made) if isinstance(part, Distribution | Transform) else part


def _copied(part: Any, made: dict[int, Any]) -> Any:
    """A distribution or transform with each of its attributes held still; once, for a transform knows its inverse."""
    if id(part) not in made:
        made[id(part)] = still = copy.copy(part)
        vars(still).update({name: _still(value, made) for name, value in vars(part).items()})
    return made[id(part)]
