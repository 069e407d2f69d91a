"""What teaches a classifier q(y | x) inside a VAE: the few labels that there are, and the shape of all the data.

Each term needs a model whose bottleneck has `classify(h) -> log q(y | x)`, such as `Labelled`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vaekit.data import Items
from vaekit.distributions import Noise
from vaekit.distributions.gumbel import OneHot
from vaekit.model import Pass
from vaekit.objectives.term import Term, mean

PROBE = 0.1  # length of the first guess at the worst direction, as a share of the radius's unit


class LabelLoss(Term):
    """−log q(y | x) of known labels, nats, averaged over labelled data alone, however rare they are.

    A batch may hold none of the few labelled data, so some are kept, at first as many as there is room for, then the
    last that came; `rows` of these are drawn at every step. Kept data are part of the training state, not of the model.

    Args:
        shape: Shape of a datum.
        classes: K.
        rows: How many labelled data a step hears.
        memory: How many are kept.

    Source: Kingma, Rezende, Mohamed, Welling (2014), arXiv:1406.5298, equation 9.

    Example:
        >>> LabelLoss((784,), 10)
        LabelLoss(rows=64)
    """

    x: Tensor
    c: Tensor
    seen: Tensor
    count: Tensor

    def __init__(self, shape: Sequence[int], classes: int, rows: int = 64, memory: int = 1024) -> None:
        super().__init__()
        self.rows, self.memory = rows, memory
        self.register_buffer("x", torch.zeros(memory, *shape))
        self.register_buffer("c", torch.zeros(memory, classes))
        self.register_buffer("seen", torch.zeros(memory, *shape, dtype=torch.bool))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def told(self, items: Items) -> None:
        """Begin with labelled data, drawn at random; nothing where some are kept already."""
        if int(self.count) or items.labels is None:
            return
        known = (torch.as_tensor(items.labels) >= 0).nonzero().squeeze(1)
        noise = Noise(0, "labelled")
        batch = items.batch(known[noise.permutation(len(known))[: self.memory]], noise)
        if len(known) and batch.c is not None:
            self._put(batch.x, batch.c, batch.mask)

    def forward(self, out: Pass, step: int) -> Tensor:
        if not self.training:
            return self._of_batch(out)
        self._keep(out)
        held = min(int(self.count), self.memory)
        if not held:
            return out.distortion.sum() * 0  # a zero that has a gradient
        at = torch.randint(held, (self.rows,)).to(self.x.device)
        mask = None if out.mask is None else self.seen[at]
        log_q = classified(out, self.x[at].to(out.x), self.c[at], mask)
        return -(self.c[at] * log_q).sum(1).mean()

    def _of_batch(self, out: Pass) -> Tensor:
        """The loss of the batch's own labelled data, which are not what it was trained on; 0 where there are none."""
        if out.c is None:
            return out.distortion.sum() * 0
        known = out.c.sum(1) > 0
        losses = -(out.c * classified(out, out.x, out.c, out.mask)).sum(1)
        return losses.sum() / known.sum().clamp(min=1)

    @torch.no_grad()
    def _keep(self, out: Pass) -> None:
        """Put the batch's labelled data in the places of the oldest."""
        if out.c is None:
            return
        known = (out.c[:: out.samples].sum(1) > 0).nonzero().squeeze(1)[: self.memory] * out.samples
        self._put(out.x[known], out.c[known], None if out.mask is None else out.mask[known])

    def _put(self, x: Tensor, c: Tensor, mask: Tensor | None) -> None:
        at = (self.count + torch.arange(len(x), device=self.x.device)) % self.memory
        self.x[at], self.c[at] = x.to(self.x), c.to(self.c)
        self.seen[at] = True if mask is None else mask.bool().to(self.x.device)
        self.count += len(x)

    def __repr__(self) -> str:
        return f"LabelLoss(rows={self.rows})"


class Doubt(Term):
    """H(q(y | x)), nats: how undecided the classifier is about a datum; nothing where its label is known.

    Source: Grandvalet, Bengio (2005), Semi-supervised learning by entropy minimization.
    """

    def forward(self, out: Pass, step: int) -> Tensor:
        log_q = believed(out)
        return -(log_q.exp() * log_q).sum(1)


class Imbalance(Term):
    """KL(E[q(y | x)] ‖ p(y)), nats: how far the classes found in a batch are from as frequent as they should be.

    With `Doubt` it is, but for a constant, −I(x; y), which an answer that is the same for all data cannot lower.

    Source: Krause, Perona, Gomes (2010), Discriminative clustering by regularized information maximization; Hu, Miyato,
        Tokui, Matsumoto, Sugiyama (2017), arXiv:1702.08720.
    """

    def forward(self, out: Pass, step: int) -> Tensor:
        q = mean_rows(believed(out).exp(), out).clamp(min=1e-12)
        return (q * (q.log() - out.model.bottleneck.log_frequencies)).sum()  # type: ignore[union-attr,operator]


class VirtualAdversarial(Term):
    """KL(q(y | x) ‖ q(y | x + r)), nats, at the worst small step r, found by one step of the power method.

    Where the label is known, it takes the place of q(y | x).

    Args:
        radius: Norm of r, in the norm of the batch's standard deviations.

    Source: Miyato, Maeda, Koyama, Ishii (2018), Virtual adversarial training, arXiv:1704.03976.

    Example:
        >>> VirtualAdversarial(0.3)
        VirtualAdversarial(0.3)
    """

    def __init__(self, radius: float = 0.3) -> None:
        super().__init__()
        if radius <= 0:
            raise ValueError(f"radius = {radius:g}: a step has a length above 0")
        self.radius = radius

    def forward(self, out: Pass, step: int) -> Tensor:
        x = out.x if out.mask is None else torch.where(out.mask.bool(), out.x, torch.zeros_like(out.x))
        unit = x.var(0, correction=0).sum().sqrt()
        log_q = believed(out).detach()
        guess = direction(
            torch.randn(x.shape, dtype=x.dtype).to(x.device)
        )  # the step seeds the CPU's generator
        worst = direction(_uphill(out, x, log_q, PROBE * unit * guess))
        moved = classified(out, x + self.radius * unit * worst, out.c, out.mask)
        return (log_q.exp() * (log_q - moved)).sum(1)

    def __repr__(self) -> str:
        return f"VirtualAdversarial({self.radius:g})"


def classified(out: Pass, x: Tensor, c: Tensor | None, mask: Tensor | None) -> Tensor:
    """log q(y | x) by the model of a pass, (N, K); the condition is not heard, so a label cannot give itself away."""
    model = out.model
    classify = getattr(getattr(model, "bottleneck", None), "classify", None)
    if model is None or classify is None:
        raise ValueError("this term needs a model that classifies; give it a Labelled bottleneck")
    return classify(model.features(x, None if c is None else torch.zeros_like(c), mask))


def believed(out: Pass) -> Tensor:
    """log q(y) of a pass, (N, K): by the classifier, or all on the label where it is known."""
    q = out.latents[0].q
    if not isinstance(q, OneHot):
        raise ValueError(
            f"this term needs a Labelled bottleneck: the first latent is a label, not {type(q).__name__}"
        )
    return q.logits.squeeze(1)


def _uphill(out: Pass, x: Tensor, log_q: Tensor, probe: Tensor) -> Tensor:
    """The gradient of KL(q ‖ q(y | x + probe)) with respect to the probe, (N, *shape)."""
    with torch.enable_grad():
        probe.requires_grad_()
        moved = classified(out, x + probe, out.c, out.mask)
        changed = functional.kl_div(moved, log_q, reduction="sum", log_target=True)
        return torch.autograd.grad(changed, probe)[0]


def direction(t: Tensor) -> Tensor:
    """Each row divided by its norm, (N, …)."""
    norm = t.flatten(1).norm(dim=1).clamp(min=1e-12)
    return t / norm.view(-1, *(1,) * (t.dim() - 1))


def mean_rows(values: Tensor, out: Pass) -> Tensor:
    """The mean over data of each column, weighted where the batch has weights: (N, K) → (K,)."""
    return torch.stack([mean(column, out) for column in values.unbind(1)])
