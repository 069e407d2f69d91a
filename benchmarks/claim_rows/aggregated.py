"""Claims of the presets that match the codes of all data to a prior, or fit a prior to them."""

from __future__ import annotations

import torch
from torch import Tensor

from claim_rows.shared import Claim, Figures, composed, pictures, trained
from vaekit import presets
from vaekit.evaluation.features import Features, classifier_features
from vaekit.evaluation.samples import frechet_distance
from vaekit.model import VAE
from vaekit.objectives.divergence import MMD
from vaekit.presets.aggregated import adversarial_autoencoder, rae, sliced_wae, wae_mmd
from vaekit.priors import StandardNormal

STEPS, LATENT, WIDE, N, SHOWN = 700, 8, 32, 2_000, ("mmd", "normal", "fitted", "distortion")


def _measured(preset: object, seed: int, latent: int = LATENT) -> Figures:
    items, test = pictures()[0], pictures(train=False)[0]
    model = trained(composed(preset, items.kind, seed, latent=latent), items, seed, steps=STEPS).model  # type: ignore[arg-type]
    first = items.batch(torch.arange(5_000))
    told = classifier_features(first.x, first.y, seed, steps=300)
    return distances(model, first.x, test.batch(torch.arange(N)).x, told, seed)


@torch.no_grad()
def distances(model: VAE, train: Tensor, test: Tensor, told: Features, seed: int) -> Figures:
    """How far codes are from N(0, I), and new digits from held-out ones, by N(0, I) and by a fitted mixture."""
    from sklearn.mixture import GaussianMixture

    z = model.encode(train)
    model.bottleneck = model.bottleneck.with_prior(StandardNormal(z.shape[1]))
    out = model(test)
    torch.manual_seed(seed)
    mixture = GaussianMixture(10, random_state=seed, max_iter=200, tol=1e-2).fit(z.double().numpy())
    drawn = torch.from_numpy(mixture.sample(N)[0]).float()
    real = told(test)
    return {
        "mmd": float(MMD()(out, 0)),
        "normal": frechet_distance(told(model.decode(torch.randn(N, z.shape[1])).mean), real),
        "fitted": frechet_distance(told(model.decode(drawn).mean), real),
        "distortion": float(out.distortion.mean()),
    }


def autoencoder(seed: int) -> Figures:
    return _measured(presets.autoencoder, seed)


def wae(seed: int) -> Figures:
    return _measured(wae_mmd, seed)


def sliced(seed: int) -> Figures:
    return _measured(sliced_wae, seed)


def adversarial(seed: int) -> Figures:
    return _measured(adversarial_autoencoder, seed)


def wide_autoencoder(seed: int) -> Figures:
    return _measured(presets.autoencoder, seed, WIDE)


def regularised(seed: int) -> Figures:
    return _measured(rae, seed, WIDE)


def matched(name: str, arm: object) -> Claim:
    """Codes meet the prior, so that its draws decode to digits."""
    return Claim(
        name, "codes meet the prior, and its draws decode to digits", "MNIST, dynamic",
        {name: arm, "autoencoder": autoencoder},  # type: ignore[dict-item]
        lambda f: f[name]["mmd"] < 0.1 * f["autoencoder"]["mmd"]
        and f[name]["normal"] < 0.5 * f["autoencoder"]["normal"], SHOWN,
    )  # fmt: skip


CLAIMS = [
    matched("wae_mmd", wae),
    matched("sliced_wae", sliced),
    matched("adversarial_autoencoder", adversarial),
    Claim(
        "rae", "draws of a mixture fitted to its codes decode to digits, nearer than the autoencoder's",
        "MNIST, dynamic", {"rae": regularised, "autoencoder": wide_autoencoder},
        lambda f: f["rae"]["fitted"] < 0.5 * f["rae"]["normal"]
        and f["rae"]["fitted"] < f["autoencoder"]["fitted"], SHOWN,
    ),
]  # fmt: skip
