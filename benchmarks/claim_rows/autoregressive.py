"""Claims of strong decoders and of what keeps z in use: a recurrent one on names, a masked one on digits."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from claim_rows.shared import DATA, Claim, Figures, composed, likelihood, pictures, trained
from vaekit import presets
from vaekit.data import Items, build, detect, read
from vaekit.distributions import Noise
from vaekit.presets.autoregressive import bn_vae, delta_vae, pixel_vae, word_dropout_vae
from vaekit.presets.preset import Preset

STEPS, PIXEL_STEPS, LATENT = 500, 250, 8


@lru_cache(maxsize=1)
def names() -> tuple[Items, Items]:
    """32 033 first names: nine tenths to train on, the rest held out."""
    source = read(DATA / "names" / "names.txt")
    items = build(source, detect(source)[0])
    order = Noise(0, "split").permutation(len(items))
    return items.subset(order[3_203:]), items.subset(order[:3_203])


def _named(preset: Any, seed: int, **options: float) -> Figures:
    train, test = names()
    made = composed(preset, train.kind, seed, latent=LATENT, **options)
    return likelihood(trained(made, train, seed, steps=STEPS).model, test, samples=50)


def vae(seed: int) -> Figures:
    """The plain ELBO with a recurrent decoder."""
    return _named(presets.vae, seed)


def beta(seed: int) -> Figures:
    return _named(presets.beta_vae, seed, beta=0.5)


def annealed(seed: int) -> Figures:
    return _named(presets.annealed_vae, seed, warmup=STEPS // 2)


def cyclical(seed: int) -> Figures:
    return _named(presets.cyclical_vae, seed, period=STEPS // 4, periods=4)


def free_bits(seed: int) -> Figures:
    return _named(presets.free_bits_vae, seed, free=0.5)


def batch_normalised(seed: int) -> Figures:
    return _named(bn_vae, seed, gamma=0.8)


def committed(seed: int) -> Figures:
    return _named(delta_vae, seed, delta=4.0)


def word_dropout(seed: int) -> Figures:
    return _named(word_dropout_vae, seed, dropout=0.8)


def _pixels(compose: Any, seed: int, **options: float) -> Figures:
    items, test = pictures()[0], pictures(train=False)[0]
    made = composed(compose, items.kind, seed, latent=LATENT, **options)
    return likelihood(trained(made, items, seed, steps=PIXEL_STEPS).model, test, most=200, samples=20)


def pixels(seed: int) -> Figures:
    return _pixels(pixel_vae, seed)


def independent_pixels(seed: int) -> Figures:
    return _pixels(presets.vae, seed)


def pixels_alone(seed: int) -> Figures:
    """Without anything that z could tell: the encoder sees nothing but noise."""
    return _pixels(_deaf, seed)


def _deaf(kind: Any, latent: int) -> Preset:
    made = pixel_vae(kind, latent)
    for p in made.model.encoder.parameters():
        torch.nn.init.zeros_(p)
        p.requires_grad_(False)
    return made


SHOWN = ("rate", "active_units", "distortion", "nll")


def _used(arm: str, most: float = 1.5) -> Any:
    """z is used where the plain one is not, for so many nats of likelihood at most."""

    def holds(f: dict[str, Figures]) -> bool:
        own, plain = f[arm], f["plain (vae)"]
        used = own["rate"] > plain["rate"] + 1 and own["active_units"] > plain["active_units"]
        return used and own["distortion"] < plain["distortion"] - 0.5 and own["nll"] < plain["nll"] + most

    return holds


def _on_names(preset: str, arm: str, run: Any) -> Claim:
    says = "z stays in use under a recurrent decoder and tells of the name"
    return Claim(preset, says, "names", {arm: run, "plain (vae)": vae}, _used(arm), SHOWN)


CLAIMS = [
    _on_names("bn_vae", "γ = 0.8", batch_normalised),
    _on_names("delta_vae", "δ = 4", committed),
    _on_names("word_dropout_vae", "80 % hidden", word_dropout),
    _on_names("free_bits_vae", "0.5 nats each", free_bits),
    _on_names("annealed_vae", "annealed", annealed),
    _on_names("cyclical_vae", "cyclical", cyclical),
    _on_names("beta_vae", "β = 0.5", beta),
    Claim(
        "pixel_vae", "after as many steps more likely than independent pixels, z still in use", "MNIST, dynamic",
        {"pixels": pixels, "independent pixels (vae)": independent_pixels, "z told nothing": pixels_alone},
        lambda f: f["pixels"]["nll"] < min(f["independent pixels (vae)"]["nll"], f["z told nothing"]["nll"]) - 2
        and f["pixels"]["rate"] > 2,
        SHOWN,
    ),
]  # fmt: skip
