"""Two latent variables, a label and what the label leaves open: y ~ q(y | x), z ~ q(z | x, y).

Where the label is known, y is that label; where it is not (a row of zeros), y is a latent variable like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.bottlenecks.bottleneck import Bottleneck, Latent, needed
from vaekit.distributions import MEAN, Noise, draw, rows, tempered
from vaekit.distributions.gumbel import OneHot, hard
from vaekit.recipes import configurable

NEVER = -1e4  # logit of what a known label is not: e to it is exactly 0, and 0 times it is no NaN
RAREST = 1e-3  # share of a class that did not come among the known labels


@configurable
class Labelled(Bottleneck):
    """The bottleneck of a semi-supervised VAE: p(x, y, z) = p(y) p(z) p(x | y, z).

    With the label given, −distortion − rate is a bound on log p(x, y), the rate including −log p(y); without, on
    log p(x).

    Args:
        classifier: Features h → q(y | x), a `OneHot` of one group.
        posterior: (h, y) → q(z | x, y).
        prior: c → p(z).
        frequencies: p(y), a share for each of the K classes; one below 1/1000 counts as that.

    Raises:
        ValueError: There are fewer than two classes.

    Source: Kingma, Rezende, Mohamed, Welling (2014), Semi-supervised learning, arXiv:1406.5298 (M2).

    Example:
        >>> from vaekit.conditional import Conditional
        >>> from vaekit.distributions import Gaussian
        >>> from vaekit.distributions.gumbel import GumbelSoftmax
        >>> from vaekit.networks import MLP
        >>> from vaekit.priors import StandardNormal
        >>> posterior = Conditional(MLP(8, 6, hidden=(8,), condition=4), Gaussian())
        >>> classifier = Conditional(nn.Linear(8, 4), GumbelSoftmax(4))
        >>> part = Labelled(classifier, posterior, StandardNormal(3), [0.25] * 4)
        >>> state, latents = part(torch.zeros(5, 8), c=torch.eye(5, 4))  # the last label is unknown
        >>> state.shape, [latent.z.shape[1] for latent in latents]
        (torch.Size([5, 7]), [4, 3])
    """

    prior_of = 1  # z, not the label
    prior_heard = False  # z is what the label leaves open
    log_frequencies: Tensor

    def __init__(
        self, classifier: nn.Module, posterior: nn.Module, prior: nn.Module, frequencies: Sequence[float]
    ) -> None:
        super().__init__()
        if len(frequencies) < 2:
            raise ValueError(f"{len(frequencies)} class: there is nothing to tell apart below two")
        self.classifier, self.posterior, self.prior = classifier, posterior, prior
        self.frequencies = [float(share) for share in frequencies]
        shares = torch.tensor(self.frequencies).clamp(min=RAREST)
        self.register_buffer("log_frequencies", (shares / shares.sum()).log(), persistent=False)

    def forward(
        self,
        h: Any = None,
        c: Tensor | None = None,
        z: Any = None,
        n: int | None = None,
        noise: Noise = MEAN,
        temperature: float = 1.0,
    ) -> tuple[Tensor, list[Latent]]:
        given_y, given_z = (None, None) if z is None else z
        n = next((t.shape[0] for t in (given_y, given_z, h, c) if t is not None), n)
        p_y = OneHot(self.log_frequencies.expand(needed(n), 1, -1))  # (N, K)
        q_y = told(p_y if h is None else self.classifier(h), c)
        y = draw(q_y, noise)[0] if given_y is None else hard(given_y)
        top = Latent(y, q_y, told(p_y, c) if h is None else p_y)
        below = self._below(h, y, given_z, noise, temperature)
        return torch.cat([y, below.z], 1), [top, below]

    def _below(self, h: Any, y: Tensor, z: Tensor | None, noise: Noise, temperature: float) -> Latent:
        """z given y."""
        p = rows(self.prior(None), y.shape[0])
        if h is None:
            q = p = tempered(p, temperature)
        else:
            q = self.posterior(h, y)
        z, log_q = draw(q, noise) if z is None else (z, None)
        return Latent(z, q, p, drawn_log_q=log_q)

    def classify(self, h: Any) -> Tensor:
        """log q(y | x) of every class, (N, K) nats."""
        return self.classifier(h).logits.squeeze(1)

    def between(self, start: Any, end: Any, weight: Tensor) -> Any:
        """As in any bottleneck, the label changing half way."""
        y = torch.where(weight.view(-1, 1) < 0.5, start[0], end[0])
        return [y, super().between(start[1], end[1], weight)]

    def with_prior(self, prior: nn.Module) -> Labelled:
        """The same bottleneck with another p(z)."""
        return Labelled(self.classifier, self.posterior, prior, self.frequencies)


def told(q: OneHot, c: Tensor | None) -> OneHot:
    """q where the label is unknown, and all its mass on the label where it is known.

    Args:
        q: Over (N, K).
        c: (N, K) one-hot rows, zeros where the label is unknown; or None.
    """
    if c is None:
        return q
    c = c.to(q.logits.dtype).unsqueeze(1)  # (N, 1, K)
    known = c.sum(-1, keepdim=True) > 0
    return OneHot(torch.where(known, (1 - c) * NEVER, q.logits), q.temperature)
