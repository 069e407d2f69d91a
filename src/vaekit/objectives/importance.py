"""The importance-weighted bound: K draws together explain a datum better than one.

log p(x) ≥ E[log 1/K Σ_k p(x, z_k) / q(z_k | x)]
"""

from __future__ import annotations

import math

from torch import Tensor

from vaekit.model import Pass
from vaekit.objectives.term import Term


class ImportanceWeighted(Term):
    """−log 1/K Σ_k p(x, z_k) / q(z_k | x), nats per datum; with K = 1 a sample of −ELBO.

    Where values are missing, the bound is on the likelihood of the observed ones.

    Args:
        samples: K, draws for each datum.

    Source: Burda, Grosse, Salakhutdinov (2016), arXiv:1509.00519; with missing values Mattei, Frellsen (2019), MIWAE,
        arXiv:1812.02633.

    Example:
        >>> ImportanceWeighted(samples=5)
        ImportanceWeighted(samples=5)
    """

    def __init__(self, samples: int = 5) -> None:
        super().__init__()
        if samples < 1:
            raise ValueError(f"samples = {samples}: a datum needs one draw or more")
        self.samples = samples

    def forward(self, out: Pass, step: int) -> Tensor:
        together = out.log_weight.view(-1, out.samples).logsumexp(1)  # (B,)
        return math.log(out.samples) - together

    def __repr__(self) -> str:
        return f"ImportanceWeighted(samples={self.samples})"
