"""Claims of the models with a critic: sharper pictures than the same model without one."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from claim_rows.shared import DATA, Claim, Figures, composed, pictures, trained
from vaekit import presets
from vaekit.data import Images, Items
from vaekit.distributions import Noise, center
from vaekit.evaluation.features import classifier_features
from vaekit.evaluation.samples import frechet_distance
from vaekit.evaluation.sharpness import edge_ratio, spectrum_distance
from vaekit.presets import Preset
from vaekit.presets.adversarial import adversarial_vae, vae_gan

Data = tuple[Items, Items, np.ndarray]  # training and held-out items, and the training labels
STEPS, BATCH, SHOWN = 900, 64, 1_000
CRITIC = {"start": 300, "width": 16}


@lru_cache(maxsize=2)
def fashion() -> Data:
    """Fashion-MNIST in its 256 levels: training and held-out items, and the training labels."""
    train, labels = pictures("fashion", binarize="none")
    return train, pictures("fashion", train=False, binarize="none")[0], labels


@lru_cache(maxsize=2)
def cifar() -> Data:
    """The 6 000 shared CIFAR-10 pictures at 16 x 16, the mean of each four pixels."""
    from PIL import Image

    def read(path: Path) -> np.ndarray:
        raw = np.asarray(Image.open(path)).reshape(1000, 16, 2, 16, 2, 3)
        return raw.mean((2, 4)).round().astype(np.uint8)

    folder, kind = DATA / "cifar10-subset", Images(3, 16, 16)
    train = np.concatenate([read(folder / f"cifar10_train_{i}.png") for i in range(5)])
    rows = [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()[1:]]
    labels = np.array([int(label) for name, _, label in rows if "train" in name])
    test = read(folder / "cifar10_test_0.png")
    return Items(kind.store(train), kind), Items(kind.store(test), kind), labels


def _pixels(items: Items, most: int) -> np.ndarray:
    return items.batch(torch.arange(min(most, len(items)))).x.numpy()


@torch.no_grad()
def _measured(
    preset: Callable[..., Preset], data: Callable[[], Data], seed: int, **options: float
) -> Figures:
    """Draws from the prior and reconstructions, the centre of p(x | z) each, beside held-out pictures."""
    items, test, labels = data()
    with torch.enable_grad():
        made = composed(preset, items.kind, seed, latent=32, **options)
        model = trained(made, items, seed, steps=STEPS, batch_size=BATCH, lr=1e-3).model
        features = classifier_features(_pixels(items, 10_000), labels[:10_000], seed, steps=600)
    real = _pixels(test, SHOWN)
    drawn = model.sample(len(real), noise=Noise(seed, "shown"), mean=True).numpy()
    again = center(model.decode(model.encode(torch.from_numpy(real)))).numpy()
    return {
        "spectrum": spectrum_distance(real, drawn),
        "edges": edge_ratio(real, drawn),
        "frechet": frechet_distance(features(real), features(drawn)),
        "spectrum_again": spectrum_distance(real, again),
        "edges_again": edge_ratio(real, again),
        "frechet_again": frechet_distance(features(real), features(again)),
        "squared_error": float(np.square(real - again).mean()),
    }


def fashion_gan(seed: int) -> Figures:
    return _measured(vae_gan, fashion, seed, **CRITIC)


def fashion_critic(seed: int) -> Figures:
    return _measured(adversarial_vae, fashion, seed, **CRITIC)


def fashion_plain(seed: int) -> Figures:
    return _measured(presets.sigma_vae, fashion, seed)


def cifar_gan(seed: int) -> Figures:
    return _measured(vae_gan, cifar, seed, **CRITIC)


def cifar_critic(seed: int) -> Figures:
    return _measured(adversarial_vae, cifar, seed, **CRITIC)


def cifar_plain(seed: int) -> Figures:
    return _measured(presets.sigma_vae, cifar, seed)


def _sharper(arms: dict[str, Figures]) -> bool:
    """Whether reconstructions have a spectrum, edges and features nearer real ones; draws are shown beside them."""
    critic, plain = arms["critic"], arms["without (sigma_vae)"]
    edges = [abs(1 - arm["edges_again"]) for arm in (critic, plain)]
    nearer = [critic[name] < plain[name] for name in ("spectrum_again", "frechet_again")]
    return all(nearer) and edges[0] < edges[1]


def _claim(
    preset: str, data: str, critic: Callable[[int], Figures], plain: Callable[[int], Figures]
) -> Claim:
    shown = (
        "spectrum_again",
        "edges_again",
        "frechet_again",
        "spectrum",
        "edges",
        "frechet",
        "squared_error",
    )
    arms = {"critic": critic, "without (sigma_vae)": plain}
    return Claim(
        preset, "reconstructions (again) are sharper than without a critic", data, arms, _sharper, shown
    )


CLAIMS = [
    _claim("adversarial_vae", "Fashion-MNIST", fashion_critic, fashion_plain),
    _claim("adversarial_vae", "CIFAR-10 subset, 16x16", cifar_critic, cifar_plain),
    _claim("vae_gan", "Fashion-MNIST", fashion_gan, fashion_plain),
    _claim("vae_gan", "CIFAR-10 subset, 16x16", cifar_gan, cifar_plain),
]
