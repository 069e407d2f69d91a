"""Does the encoder find the best posterior? Improving each item's by itself says what it leaves.

    gap = max_λ ELBO(x; q_λ) − ELBO(x; q(z | x)),  from some steps of gradient ascent on λ for each x

Source: Cremer, Li, Duvenaud (2018), Inference suboptimality in variational autoencoders, arXiv:1801.03558; Kim,
Wiseman, Miller, Sontag, Rush (2018), Semi-amortized variational autoencoders, arXiv:1802.02550.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from vaekit.bottlenecks import Variational
from vaekit.data import Batch
from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.subject import Subject
from vaekit.distributions import Noise, kl, log_prob, right
from vaekit.model import VAE, each, leaves, repeat

SHARE, NATS = 0.6, 1.0
DRAWS, MEASURED = 2, 16  # of each posterior: in a step, and to measure by
LR = 0.05
TITLE, THRESHOLD = "the encoder finds the posterior", f"gap above {SHARE:.0%} of the rate and {NATS:g} nat"

# what posteriors are made of, condition, noise → the decoder's state, and the rate
Drawn = Callable[[Any, Tensor | None, Noise], tuple[Any, Tensor]]


def inference(subject: Subject) -> Finding:
    """Nats of the ELBO, weighed as in training, that are gained when each item's posterior is improved by itself."""
    beta = subject.beta
    if not subject.model.bottleneck.stochastic or subject.model.bottleneck.discrete:
        return left_out(
            "inference", TITLE, THRESHOLD, "the code is a point: there is no posterior to improve."
        )
    if beta is None:
        return left_out(
            "inference", TITLE, THRESHOLD, "training weighed the ELBO's two sides in a way of its own."
        )
    batches = subject.chunks(subject.some(subject.seen, subject.effort.refined))
    found = [gap(subject.model, batch, beta, subject.effort.steps) for batch in batches]
    gained, rate = (float(torch.cat(side).mean()) for side in zip(*found, strict=True))
    limit = max(NATS, SHARE * beta * rate)
    alarm = gained > limit
    said = (
        f"{gained:.3g} nats are gained by improving each item's posterior by itself, at a rate of {rate:.3g}"
    )
    said += ": the encoder is too weak, or has learned too little" if alarm else ""
    return Finding(
        "inference", TITLE, gained, THRESHOLD, alarm, f"{said}.", _cure(subject) if alarm else None
    )


def gap(
    model: VAE, batch: Batch, beta: float = 1.0, steps: int = 60, lr: float = LR
) -> tuple[Tensor, Tensor]:
    """What each item gains, and its rate before.

    Args:
        model: With a stochastic bottleneck.
        batch: B items.
        beta: Weight of the rate, as in training.
        steps: Of Adam on each item's posterior.
        lr: Of these steps, falling to 0.

    Returns:
        Gain (B,) of −distortion − β rate, and rate (B,), in nats.
    """
    with torch.no_grad():
        start, drawn = _start(model, batch)
    cost = _Cost(model, batch, beta, drawn)
    improved = _improved(cost, start, steps, lr)
    with torch.no_grad():
        before, rate = cost(start, Noise(0, "diagnosis: gap"), MEASURED)
        after, _ = cost(improved, Noise(0, "diagnosis: gap"), MEASURED)
    return _means(before - after, MEASURED), _means(rate, MEASURED)


@dataclass(frozen=True)
class _Cost:
    """What items cost as a function of the numbers that their posteriors are made of.

    Attributes:
        model: With a stochastic bottleneck.
        batch: B items.
        beta: Weight of the rate.
        drawn: Those numbers, condition and noise → the decoder's state and the rate.
    """

    model: VAE
    batch: Batch
    beta: float
    drawn: Drawn

    def __call__(self, own: Any, noise: Noise, draws: int) -> tuple[Tensor, Tensor]:
        """distortion + β rate, and rate, (B · draws,) each."""
        x, c, mask = (repeat(t, draws) for t in (self.batch.x, self.batch.c, self.batch.mask))
        state, rate = self.drawn(repeat(own, draws), c, noise)
        distortion = -right(log_prob(self.model.likelihood(state, c), x, mask))
        return distortion + self.beta * rate, rate


def _start(model: VAE, batch: Batch) -> tuple[Any, Drawn]:
    """What is to be improved, as the encoder gives it, and how codes are drawn from it.

    Mean and scale of a Gaussian posterior; the encoder's features where there is no such posterior.
    """
    bottleneck: Any = model.bottleneck
    h = model.features(batch.x, batch.c, batch.mask)
    q = bottleneck.posterior(h) if type(bottleneck) is Variational else None
    if type(q) is not Normal:
        return h, partial(_of_features, bottleneck)
    return {"loc": q.loc, "log_scale": q.scale.log()}, partial(_of_gaussian, bottleneck)


def _of_gaussian(bottleneck: Any, own: Any, c: Tensor | None, noise: Noise) -> tuple[Any, Tensor]:
    q = Normal(own["loc"], own["log_scale"].exp(), validate_args=False)
    z = q.loc + q.scale * noise.normal(q.loc.shape, q.loc)
    p = bottleneck.prior(c)
    known = kl(q, p)
    return z, right(known) if known is not None else right(q.log_prob(z)) - right(p.log_prob(z))


def _of_features(bottleneck: Any, own: Any, c: Tensor | None, noise: Noise) -> tuple[Any, Tensor]:
    state, latents = bottleneck(own, c, noise=noise)
    return state, torch.stack([right(latent.kl) for latent in latents]).sum(0)


def _improved(cost: _Cost, start: Any, steps: int, lr: float) -> Any:
    """The numbers that posteriors are made of, after some steps of Adam against their cost."""
    own = each(start, lambda t: t.detach().clone().requires_grad_())
    moved = leaves(own)
    optimizer = torch.optim.Adam(moved, lr=lr)
    with torch.enable_grad():
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
            loss, _ = cost(own, Noise(0, "diagnosis: improve", step), DRAWS)
            gradients = torch.autograd.grad(loss.sum(), moved, allow_unused=True)
            for t, gradient in zip(moved, gradients, strict=True):
                t.grad = None if gradient is None else gradient.nan_to_num(0.0, 0.0, 0.0)
            optimizer.step()
    return each(own, Tensor.detach)


def _means(values: Tensor, draws: int) -> Tensor:
    """Mean over the draws of each item, (B · draws,) → (B,)."""
    return values.double().view(-1, draws).mean(1)


def _cure(subject: Subject) -> Cure:
    """The kind's own encoder where another was used, else a richer posterior."""
    richer = "full_covariance_vae" if subject.preset == "iaf_vae" else "iaf_vae"
    return Cure({"preset": richer if subject.takes(richer) else "vae"})
