"""A network followed by a family: inputs → Distribution. Posterior, likelihood and learned prior are all this.

p(y | x) = family(net(x))
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.distributions import Family
from vaekit.recipes import configurable


@configurable
class Conditional(nn.Module):
    """A distribution whose parameters a network computes.

    Args:
        net: Any module; its output has `family.size(dim)` entries on axis 1.
        family: Parameters to distribution.

    Example:
        >>> from vaekit.distributions import Gaussian
        >>> q = Conditional(nn.Linear(5, 4), Gaussian())(torch.zeros(3, 5))
        >>> q.mean.shape
        torch.Size([3, 2])
    """

    def __init__(self, net: nn.Module, family: Family) -> None:
        super().__init__()
        self.net, self.family = net, family

    def forward(self, *inputs: Tensor | None) -> Distribution:
        """The distribution given the inputs; those that are None are left out.

        Half precision becomes float32 here, once; float64 stays.
        """
        params = self.net(*(t for t in inputs if t is not None))
        return self.family(params.float() if params.dtype in (torch.float16, torch.bfloat16) else params)

    def adapt(self, px: Distribution, x: Tensor, mask: Tensor | None) -> Distribution:
        """px as it should score x: families with a scale that depends on the batch change it while training."""
        own = getattr(self.family, "adapt", None)
        return px if own is None else own(px, x, mask)

    def commit(self, px: Distribution) -> None:
        """Let the family learn from a batch, after the finite check."""
        own = getattr(self.family, "commit", None)
        if own is not None:
            own(px)
