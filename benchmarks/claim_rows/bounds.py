"""Claims of the importance-weighted family: tighter bounds, and gradients with less noise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from claim_rows.shared import Claim, Figures, composed, likelihood, pictures, trained
from vaekit.distributions import Noise
from vaekit.objectives import Distortion, ImportanceWeighted, Rate, Term, mean
from vaekit.objectives.importance import MultiplyImportanceWeighted
from vaekit.objectives.pathwise import DoublyReparameterized, StickingTheLanding
from vaekit.presets import Preset, vae
from vaekit.presets.bounds import ciwae, iwae, miwae, piwae

# at equal steps, and at equal seconds of one thread, where K decodings a step cost more than they give so early
STEPS, SECONDS, ROWS = 2_000, 30.0, 32
DRAWS = 100


def _measured(
    preset: Callable[..., Preset], seed: int, seconds: float | None = None, **options: float
) -> Figures:
    """After so many seconds, or by default the same number of steps for all."""
    items, test = pictures()[0], pictures(train=False)[0]
    made = composed(preset, items.kind, seed, latent=32, **options)
    steps = STEPS if seconds is None else None
    model = trained(made, items, seed, steps=steps, seconds=seconds, batch_size=ROWS).model
    return likelihood(model, test, samples=500)


def measured_vae(seed: int) -> Figures:
    return _measured(vae, seed)


def measured_iwae(seed: int) -> Figures:
    return _measured(iwae, seed, samples=5)


def measured_miwae(seed: int) -> Figures:
    return _measured(miwae, seed, groups=2, inner=4)


def measured_piwae(seed: int) -> Figures:
    return _measured(piwae, seed, groups=2, inner=4)


def measured_ciwae(seed: int) -> Figures:
    return _measured(ciwae, seed, samples=5, beta=0.3)


def timed_vae(seed: int) -> Figures:
    return _measured(vae, seed, SECONDS)


def timed_iwae(seed: int) -> Figures:
    return _measured(iwae, seed, SECONDS, samples=5)


def timed_miwae(seed: int) -> Figures:
    return _measured(miwae, seed, SECONDS, groups=2, inner=4)


def timed_piwae(seed: int) -> Figures:
    return _measured(piwae, seed, SECONDS, groups=2, inner=4)


def timed_ciwae(seed: int) -> Figures:
    return _measured(ciwae, seed, SECONDS, samples=5, beta=0.3)


def _gradients(term: Term, seed: int) -> Figures:
    """Signal and noise of the encoder's gradient, over `DRAWS` draws of the same data, at a briefly trained model."""
    items, test = pictures()[0], pictures(train=False)[0]
    made = trained(composed(vae, items.kind, seed, latent=32), items, seed, steps=400)
    x, parameters = test.batch(torch.arange(16)).x, list(made.model.encoder.parameters())
    draws = []
    for step in range(DRAWS):
        out = made.model(x, samples=term.samples, noise=Noise(seed, "gradient", step))
        draws.append(_flat(torch.autograd.grad(mean(term(out, 0), out), parameters)))
    found = torch.stack(draws).double()  # (DRAWS, P)
    noise, square = found.var(0).sum(), found.mean(0).square().sum()
    signal = (square - noise / DRAWS).clamp(min=0)  # what is left of |mean|² once its own noise is taken off
    return {
        "gradient_variance": float(noise),
        "gradient_norm": float(signal.sqrt()),
        "signal_to_noise": float((signal / noise).sqrt()),
    }


def _flat(gradients: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([g.flatten() for g in gradients])


def noise_of_iwae(seed: int) -> Figures:
    return _gradients(ImportanceWeighted(16), seed)


def noise_of_dreg(seed: int) -> Figures:
    return _gradients(DoublyReparameterized(16), seed)


def noise_of_sampled_elbo(seed: int) -> Figures:
    return _gradients(MultiplyImportanceWeighted(1, 1), seed)


def noise_of_elbo(seed: int) -> Figures:
    return _gradients(Distortion() + Rate(), seed)


def noise_of_landing(seed: int) -> Figures:
    return _gradients(StickingTheLanding(), seed)


def _quieter(f: dict[str, Figures], one: str, other: str) -> bool:
    """Less noise around the same mean, whose length is known to within a tenth."""
    a, b = f[one], f[other]
    same = abs(a["gradient_norm"] / b["gradient_norm"] - 1) < 0.1
    return same and a["gradient_variance"] < b["gradient_variance"]


DATA = "MNIST, dynamic"
TIGHT = ("nll", "elbo", "rate", "active_units")
NOISE = ("gradient_variance", "gradient_norm", "signal_to_noise")
CLAIMS = [
    Claim(
        "iwae", "−log p is lower than the VAE's after equal steps", DATA, {"K = 5": measured_iwae, "vae": measured_vae},
        lambda f: f["K = 5"]["nll"] < f["vae"]["nll"], TIGHT,
    ),
    Claim(
        "miwae", "−log p is lower than the VAE's, the ELBO higher than the IWAE's, after equal steps", DATA,
        {"M = 2, K = 4": measured_miwae, "iwae": measured_iwae, "vae": measured_vae},
        lambda f: f["M = 2, K = 4"]["nll"] < f["vae"]["nll"] and f["M = 2, K = 4"]["elbo"] > f["iwae"]["elbo"],
        TIGHT,
    ),
    Claim(
        "piwae", "−log p is lower than the VAE's, the ELBO higher than the IWAE's, after equal steps", DATA,
        {"M = 2, K = 4": measured_piwae, "iwae": measured_iwae, "vae": measured_vae},
        lambda f: f["M = 2, K = 4"]["nll"] < f["vae"]["nll"] and f["M = 2, K = 4"]["elbo"] > f["iwae"]["elbo"],
        TIGHT,
    ),
    Claim(
        "ciwae", "−log p is lower than the VAE's, the ELBO higher than the IWAE's, after equal steps", DATA,
        {"β = 0.3": measured_ciwae, "iwae": measured_iwae, "vae": measured_vae},
        lambda f: f["β = 0.3"]["nll"] < f["vae"]["nll"] and f["β = 0.3"]["elbo"] > f["iwae"]["elbo"], TIGHT,
    ),
    *(
        Claim(
            preset, "−log p is lower than the VAE's after equal seconds", DATA, {"tighter": arm, "vae": timed_vae},
            lambda f: f["tighter"]["nll"] < f["vae"]["nll"], TIGHT,
        )
        for preset, arm in (
            ("iwae", timed_iwae), ("miwae", timed_miwae), ("piwae", timed_piwae), ("ciwae", timed_ciwae),
        )
    ),
    Claim(
        "dreg", "the encoder's gradient has less noise and the same mean, K = 16", DATA,
        {"dreg": noise_of_dreg, "iwae": noise_of_iwae},
        lambda f: _quieter(f, "dreg", "iwae"), NOISE,
    ),
    Claim(
        "sticking_the_landing", "the encoder's gradient has less noise and the same mean", DATA,
        {"landing": noise_of_landing, "sampled ELBO": noise_of_sampled_elbo, "vae": noise_of_elbo},
        lambda f: _quieter(f, "landing", "sampled ELBO") and _quieter(f, "landing", "vae"), NOISE,
    ),
]  # fmt: skip
