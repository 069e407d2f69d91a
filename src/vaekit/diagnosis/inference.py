"""Does the encoder find the best posterior? Improving each item's by itself says what it leaves.

    gap = max_λ ELBO(x; q_λ) − ELBO(x; q(z | x)),  from some steps of gradient ascent on λ for each x

Source: Cremer, Li, Duvenaud (2018), Inference suboptimality in variational autoencoders, arXiv:1801.03558; Kim,
Wiseman, Miller, Sontag, Rush (2018), Semi-amortized variational autoencoders, arXiv:1802.02550.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from vaekit.bottlenecks import Variational
from vaekit.data import Batch
from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.subject import Subject, each
from vaekit.distributions import Noise, kl, log_prob, right
from vaekit.model import VAE, repeat

SHARE, NATS = 0.6, 1.0
DRAWS, MEASURED = 2, 16  # of each posterior: in a step, and to measure by
LR = 0.05
TITLE, THRESHOLD = "the encoder finds the posterior", f"gap above {SHARE:.0%} of the rate and {NATS:g} nat"


def inference(subject: Subject) -> Finding:
    """Nats of the (weighted) ELBO that are gained when each item's posterior is improved by itself."""
    beta = subject.beta
    if not subject.model.bottleneck.stochastic or subject.model.bottleneck.discrete:
        return left_out(
            "inference", TITLE, THRESHOLD, "the code is a point: there is no posterior to improve."
        )
    if beta is None:
        return left_out(
            "inference", TITLE, THRESHOLD, "training weighed the ELBO's two sides in a way of its own."
        )
    found = [gap(subject.model, b, beta, subject.effort.steps) for b in _batches(subject)]
    gained, rate = (
        float(torch.cat([g for g, _ in found]).mean()),
        float(torch.cat([r for _, r in found]).mean()),
    )
    limit = max(NATS, SHARE * beta * rate)
    alarm = gained > limit
    said = (
        f"{gained:.3g} nats are gained by improving each item's posterior by itself, at a rate of {rate:.3g}"
    )
    said += ": the encoder is too weak, or has learned too little" if alarm else ""
    return Finding(
        "inference", TITLE, gained, THRESHOLD, alarm, f"{said}.", _cure(subject) if alarm else None
    )


def _batches(subject: Subject) -> list[Batch]:
    return subject.chunks(subject.some(subject.seen, subject.effort.refined))


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
    bottleneck: Any = model.bottleneck
    with torch.no_grad():
        h = model.features(batch.x, batch.c, batch.mask)
        plain = type(bottleneck) is Variational and type(bottleneck.posterior(h)) is Normal
        start = _gaussian(bottleneck.posterior(h)) if plain else h
    improved = _improved(model, batch, start, plain, beta, steps, lr)
    with torch.no_grad():
        before, rate = _sides(model, batch, start, plain, beta, Noise(0, "diagnosis: gap"), MEASURED)
        after, _ = _sides(model, batch, improved, plain, beta, Noise(0, "diagnosis: gap"), MEASURED)
    return _means(before - after, MEASURED), _means(rate, MEASURED)


def _gaussian(q: Normal) -> dict[str, Tensor]:
    return {"loc": q.loc, "log_scale": q.scale.log()}


def _improved(model: VAE, batch: Batch, start: Any, plain: bool, beta: float, steps: int, lr: float) -> Any:
    """Posterior parameters, or the encoder's features where there are none to take hold of, gone up the ELBO."""
    leaves: list[Tensor] = []

    def leaf(t: Tensor) -> Tensor:
        leaves.append(t.detach().clone().requires_grad_())
        return leaves[-1]

    own = each(start, leaf)
    optimizer = torch.optim.Adam(leaves, lr=lr)
    with torch.enable_grad():
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
            loss, _ = _sides(model, batch, own, plain, beta, Noise(0, "diagnosis: improve", step), DRAWS)
            gradients = torch.autograd.grad(loss.sum(), leaves, allow_unused=True)
            for t, gradient in zip(leaves, gradients, strict=True):
                t.grad = None if gradient is None else gradient.nan_to_num(0.0, 0.0, 0.0)
            optimizer.step()
    return each(own, Tensor.detach)


def _sides(
    model: VAE, batch: Batch, own: Any, plain: bool, beta: float, noise: Noise, draws: int
) -> tuple[Tensor, Tensor]:
    """distortion + β rate, and rate, (B · draws,) each."""
    x, c, mask = (repeat(t, draws) for t in (batch.x, batch.c, batch.mask))
    own = repeat(own, draws)
    bottleneck: Any = model.bottleneck
    if plain:
        q = Normal(own["loc"], own["log_scale"].exp(), validate_args=False)
        z = q.loc + q.scale * noise.normal(q.loc.shape, q.loc)
        p = bottleneck.prior(c)
        known = kl(q, p)
        rate = right(known) if known is not None else right(q.log_prob(z)) - right(p.log_prob(z))
        state = z
    else:
        state, latents = bottleneck(own, c, noise=noise)
        rate = torch.stack([right(latent.kl) for latent in latents]).sum(0)
    distortion = -right(log_prob(model.likelihood(state, c), x, mask))
    return distortion + beta * rate, rate


def _means(values: Tensor, draws: int) -> Tensor:
    return values.double().view(-1, draws).mean(1)


def _cure(subject: Subject) -> Cure:
    """The kind's own encoder where another was used, else a richer posterior."""
    richer = "full_covariance_vae" if subject.preset == "iaf_vae" else "iaf_vae"
    return Cure({"preset": richer if subject.takes(richer) else "vae"})
