"""Families of generative models beside each other: equal seconds of one core, one data set, the same questions.

    VAEKIT_DATA=... python benchmarks/families.py [--seeds 3] [--seconds 120] [--only NAME,…] [--again] [--table]

Fashion-MNIST in 14 × 14 pixels and 16 levels, small enough that each model learns in a minute or two. Every model of
`family_rows/` trains for the same seconds of this process on one thread. The clock is `time.process_time`: waiting for
a busy machine does not count, though caches that others fill make a step slower. The networks of the GAN and of the
diffusion model were each chosen among three, with seed 9 and 4 to 8 seconds, on 5 000 training images that no model
here is trained on (`--tune`). Learning rates were not searched, and the presets are as they come.

Measured on 5 000 samples and the first 5 000 test images, in the 64 features of one classifier (seed 0; its accuracy
stands above the table): Fréchet distance, precision, recall, density, coverage. Sharpness: mean length of the gradient,
and distance of the power spectra, in pixels. Bits for each pixel: all 10 000 test images.

Said before anything was measured: a seed has failed if a figure is not finite, or its Fréchet distance is more than
four times the VAE's (median over its seeds), or fewer than five of the ten classes get one sample in a hundred or more.

What is finished stands in benchmarks/results/families.json, (model, seed) by (model, seed), and is not run again;
families.md is the table, families.png shows samples.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from family_rows.autoregressive import autoregressive  # noqa: E402
from family_rows.diffusion import diffusion  # noqa: E402
from family_rows.flow import flow  # noqa: E402
from family_rows.gan import gan  # noqa: E402
from family_rows.hierarchical import hierarchical  # noqa: E402
from family_rows.judge import SAMPLES, Judge, judge  # noqa: E402
from family_rows.shared import Learner, fashion  # noqa: E402
from family_rows.shown import SHOWN, picture, table  # noqa: E402
from family_rows.vae import vae  # noqa: E402

from vaekit.distributions import Noise  # noqa: E402

MODELS: dict[str, Callable[[int], Learner]] = {
    "vae": vae,
    "hierarchical": hierarchical,
    "gan": gan,
    "diffusion": diffusion,
    "flow": flow,
    "autoregressive": autoregressive,
}
RESULTS = HERE / "results" / "families.json"
TIMED = 100  # samples whose making is timed


def measured(model: Learner, against: Judge, images: np.ndarray, samples: int = SAMPLES) -> dict[str, Any]:
    """Figures of a trained model, and some samples as a string of hexadecimal digits, one a pixel.

    Args:
        model: Trained.
        against: The judge.
        images: (N, 14, 14) whose bits are counted.
        samples: How many are drawn.
    """
    with Noise(0, "samples").torch(), np.errstate(all="ignore"):
        drawn = model.sample(samples)
        figures = against.figures(drawn)
        if hasattr(model, "draw"):
            figures["frechet_drawn"] = against.frechet(model.draw(samples))
        bits = model.bits(images)
        if bits is not None:
            figures["bits"] = float(bits.mean())
        if hasattr(model, "tighter"):
            figures["bits_sampled"] = model.tighter(images)
        figures["milliseconds"] = 1e3 * median(timed(lambda: model.sample(TIMED)) for _ in range(3)) / TIMED
    figures["parameters"] = float(model.parameters())
    return {"figures": figures, "shown": "".join(f"{level:x}" for level in drawn[:SHOWN].ravel())}


def timed(work: Callable[[], object]) -> float:
    """Seconds of computing."""
    began = time.process_time()
    work()
    return time.process_time() - began


def run_one(name: str, seed: int, seconds: float) -> dict[str, Any]:
    """One model trained and measured on the test images."""
    model, spent = MODELS[name](seed), time.process_time()
    steps = model.learn(fashion().train, seconds, seed)
    spent = time.process_time() - spent
    try:
        entry = measured(model, judge(), fashion().test)
    except ValueError as error:  # features that are not finite
        entry = {"figures": {"frechet": math.inf, "classes": 0.0}, "shown": "", "error": str(error)}
    entry["figures"]["steps"] = float(steps)
    return {**entry, "seconds": seconds, "trained": round(spent, 1)}


def about(seconds: float, seeds: int) -> dict[str, Any]:
    """What the figures were made with."""
    sets, own = fashion(), judge()
    return {
        "command": f"OMP_NUM_THREADS=1 python benchmarks/families.py --seeds {seeds} --seconds {seconds:g}",
        "seconds": seconds,
        "accuracy": own.accuracy,
        "machine": machine(),
        "data": own.figures(sets.train[:SAMPLES]),
    }


def machine() -> str:
    """The machine in words."""
    words = ""
    if Path("/proc/cpuinfo").is_file():
        found = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
        words = found[0].partition(":")[2].strip() + ", " if found else ""
    return f"{words}{platform.machine()}, one thread; Python {platform.python_version()}, torch {torch.__version__}"


def write(done: dict[str, Any]) -> None:
    """Results, table and picture, as far as they go."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(done, indent=1, sort_keys=True) + "\n")
    if any(key.startswith("vae/") for key in done["runs"]):
        RESULTS.with_suffix(".md").write_text(table(done))
        RESULTS.with_suffix(".png").write_bytes(picture(done))


def tuned(name: str, seconds: float, seed: int = 9) -> dict[str, float]:
    """What models were tuned by: the figures of one seed on the images held out of training."""
    model, sets = MODELS[name](seed), fashion()
    steps = model.learn(sets.train, seconds, seed)
    return measured(model, judge(held=True), sets.held)["figures"] | {"steps": float(steps)}


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--only", help=f"with commas: {', '.join(MODELS)}")
    parser.add_argument("--again", action="store_true", help="run the chosen models again")
    parser.add_argument("--table", action="store_true", help="only write the table and the picture")
    parser.add_argument(
        "--tune", action="store_true", help="seed 9 on the images held out of training; printed"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = given.only.split(",") if given.only else list(MODELS)
    if given.tune:
        for name in names:
            figures = {what: round(value, 4) for what, value in tuned(name, given.seconds).items()}
            print(round(time.process_time()), name, figures, flush=True)
        return
    done = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"runs": {}}
    if not given.table:
        done["about"] = about(given.seconds, given.seeds)
        for seed in range(given.seeds):
            for name in names:
                key = f"{name}/{seed}"
                if not given.again and done["runs"].get(key, {}).get("seconds") == given.seconds:
                    continue
                done["runs"][key] = run_one(name, seed, given.seconds)
                print(key, done["runs"][key]["figures"], file=sys.stderr, flush=True)
                write(done)
    write(done)
    print(RESULTS.with_suffix(".md"))


if __name__ == "__main__":
    main()
