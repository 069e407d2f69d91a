"""Claims of stacks: more explained in the same time than one latent variable does, and no step that is not finite."""

from __future__ import annotations

import math
from typing import Any

from claim_rows.shared import Claim, Figures, composed, likelihood, pictures, trained
from vaekit import presets
from vaekit.bottlenecks.stochastic import LadderLayer
from vaekit.objectives import Distortion, Rate, linear
from vaekit.presets import Preset
from vaekit.presets.hierarchical import ladder_layer, ladder_vae, rungs, stack, top_down_vae
from vaekit.training import Adam, train

SECONDS = 45.0  # of computing for each arm, on one thread
RATE = 6e-3  # for every arm; of 2, 4 and 6 (the stack: 8 too) · 10⁻³ the larger ones were better for both
TESTED = 300
SEEDS = 20  # of the test of stability
LEAPS = 4 * 2e-3  # four times the harness's learning rate


def _measured(preset: Any, seed: int, **options: float) -> Figures:
    items, test = pictures()[0], pictures(train=False)[0]
    made = trained(composed(preset, items.kind, seed, **options), items, seed, seconds=SECONDS, lr=RATE)
    return likelihood(made.model, test, most=TESTED)


def one_variable(seed: int) -> Figures:
    """The plain VAE for the same seconds."""
    return _measured(presets.vae, seed, latent=32)


def three_layers(seed: int) -> Figures:
    return _measured(top_down_vae, seed)


class Apart(LadderLayer):
    """A layer whose q hears the data alone, and not what the layers above expect."""

    def posterior_given(self, p: Any, state: Any, h: Any, c: Any) -> Any:
        return self.distribution(self.posterior(h, c))


def apart(*given: Any) -> Apart:
    layer = ladder_layer(*given)
    return Apart(layer.latent, layer.prior, layer.posterior, layer.merge, layer.block)


def apart_vae(kind: Any, warmup: int) -> Preset:
    """The ladder's networks and objective without the ladder."""
    return Preset(stack(kind, rungs(16, 3), 256, apart), Distortion() + linear(0, 1, warmup) * Rate())


def ladder(seed: int) -> Figures:
    return _measured(ladder_vae, seed, warmup=500)


def no_ladder(seed: int) -> Figures:
    return _measured(apart_vae, seed, warmup=500)


def _leaping(make: Any, seed: int, steps: int = 60, rows: int = 64) -> Figures:
    """Many short trainings at four times the learning rate: skipped steps, and final losses that are not finite."""
    items, skipped, lost, mean = pictures(most=2_000)[0], 0.0, 0, 0.0
    for number in range(seed * SEEDS, (seed + 1) * SEEDS):
        model, objective = make(items.kind, number)
        loss = math.nan
        for progress in train(
            model,
            objective,
            items,
            steps=steps,
            batch_size=rows,
            optimizer=Adam(LEAPS, clip=500.0),
            seed=number,
        ):
            loss, state = float(progress.loss), progress.state
        skipped, lost, mean = (
            skipped + float(state.skipped),
            lost + (not math.isfinite(loss)),
            mean + loss / SEEDS,
        )
    return {"not_finite_steps": skipped, "not_finite_losses": lost, "loss": mean}


def leaping_stack(seed: int) -> Figures:
    """Eight layers, with a learning rate four times too high."""
    return _leaping(
        lambda kind, number: composed(top_down_vae, kind, number, layers=8, width=64, latent=4, warmup=1),
        seed,
    )


def leaping_maps(seed: int) -> Figures:
    """Four layers of maps, likewise."""
    return _leaping(
        lambda kind, number: composed(
            top_down_vae, kind, number, layers=4, width=32, latent=2, warmup=1, convolutional=True
        ),
        seed,
        steps=20,
        rows=32,
    )


SHOWN = ("nll", "elbo", "rate", "distortion", "active_units")

CLAIMS = [
    Claim(
        "top_down_vae", "a lower −log p than one variable in equal time", "MNIST, dynamic",
        {"three layers": three_layers, "one variable (vae)": one_variable},
        lambda f: f["three layers"]["nll"] < f["one variable (vae)"]["nll"], SHOWN,
    ),
    Claim(
        "ladder_vae", "a lower −log p than with a q that does not hear p", "MNIST, dynamic",
        {"q a product": ladder, "q of the data alone": no_ladder},
        lambda f: f["q a product"]["nll"] < f["q of the data alone"]["nll"], SHOWN,
    ),
    Claim(
        "top_down_vae", "finite at 4× the learning rate, 20 seeds", "MNIST, dynamic",
        {"8 dense layers": leaping_stack, "4 layers of maps": leaping_maps},
        lambda f: all(arm["not_finite_steps"] == arm["not_finite_losses"] == 0 for arm in f.values()),
        ("not_finite_steps", "not_finite_losses", "loss"),
    ),
]  # fmt: skip
