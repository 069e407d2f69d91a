"""Families of generative models beside each other: equal seconds of one core, one data set, the same questions.

    VAEKIT_DATA=... python benchmarks/families.py [--seeds 3] [--seconds 90] [--only NAME,…] [--again] [--table]

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
import io
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from functools import lru_cache
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
from family_rows.shared import LEVELS, SIDE, Learner, Sets, fashion  # noqa: E402
from family_rows.vae import vae  # noqa: E402
from torch import nn  # noqa: E402

from vaekit.distributions import Noise  # noqa: E402
from vaekit.evaluation.features import Features, fit_classifier  # noqa: E402
from vaekit.evaluation.samples import fidelity, frechet_distance  # noqa: E402
from vaekit.evaluation.sharpness import edge_ratio, spectrum_distance  # noqa: E402

MODELS: dict[str, Callable[[int], Learner]] = {
    "vae": vae,
    "hierarchical": hierarchical,
    "gan": gan,
    "diffusion": diffusion,
    "flow": flow,
    "autoregressive": autoregressive,
}
SAYS = {
    "vae": "VAE (ours)",
    "hierarchical": "hierarchical VAE (ours)",
    "gan": "GAN",
    "diffusion": "diffusion",
    "flow": "flow",
    "autoregressive": "autoregressive",
    "data": "training images",
}
RESULTS = HERE / "results" / "families.json"
SAMPLES, SHOWN, TIMED = 5_000, 16, 100
LEFT, ZOOM, GAP = 230, 4, 6  # of the picture: pixels for names, a side of one pixel, between images
WORSE, CLASSES, SHARE = 4.0, 5, 0.01  # when a seed has failed
HEADS = {
    "frechet": "Fréchet",
    "frechet_drawn": "Fréchet, drawn",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "edges": "edges ÷ data's",
    "spectrum": "spectrum",
    "bits": "bits/pixel",
    "bits_sampled": "bits/pixel, 100 draws",
    "classes": "classes",
    "milliseconds": "ms a sample",
    "parameters": "parameters",
    "steps": "steps",
}


class Judge:
    """The one classifier in whose features samples are compared, and the real images' side of each comparison."""

    def __init__(self, sets: Sets, real: np.ndarray, steps: int = 4_000) -> None:
        rows, classes = flat(sets.train), torch.from_numpy(sets.train_labels.astype(np.int64))
        self.whole = fit_classifier(rows, classes, seed=0, steps=steps)
        body = nn.Sequential(*list(self.whole.net.children())[:-1])
        self.features = Features(body, self.whole.shift, self.whole.scale, self.whole.far)
        self.accuracy = float((self.classes(sets.test) == sets.test_labels).mean())
        self.real, self.inside = real, self.features(flat(real))

    def classes(self, images: np.ndarray) -> np.ndarray:
        """What the classifier takes each image for, (N,)."""
        return self.whole(flat(images)).argmax(1)

    def frechet(self, images: np.ndarray) -> float:
        return frechet_distance(self.inside, self.features(flat(images)))

    def figures(self, images: np.ndarray) -> dict[str, float]:
        """Everything that is asked of samples (N, 14, 14)."""
        near = fidelity(self.inside, self.features(flat(images)))
        shares = np.bincount(self.classes(images), minlength=10) / len(images)
        return {
            "frechet": self.frechet(images),
            "precision": near.precision,
            "recall": near.recall,
            "density": near.density,
            "coverage": near.coverage,
            "edges": edge_ratio(self.real, images),
            "spectrum": spectrum_distance(self.real, images),
            "classes": float((shares >= SHARE).sum()),
        }


def flat(images: np.ndarray) -> torch.Tensor:
    """Levels as rows of values in [0, 1]."""
    return torch.from_numpy(images.astype(np.float32) / (LEVELS - 1)).flatten(1)


@lru_cache(maxsize=2)
def judge(held: bool = False) -> Judge:
    """The classifier, once for a process; real images are those of the test set, or those held out for tuning."""
    sets = fashion()
    return Judge(sets, (sets.held if held else sets.test)[:SAMPLES])


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


def failed(entry: dict[str, Any], usual: float) -> bool:
    """Whether a seed has failed; `usual` is the VAE's Fréchet distance."""
    figures = entry["figures"]
    finite = all(math.isfinite(value) for value in figures.values())
    return not finite or figures["frechet"] > WORSE * usual or figures["classes"] < CLASSES


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


def table(done: dict[str, Any]) -> str:
    """The measured table in Markdown: medians, and every seed below."""
    about, runs = done["about"], done["runs"]
    usual = median(e["figures"]["frechet"] for key, e in runs.items() if key.startswith("vae/"))
    floor = about["data"]
    lines = [
        "# Families of models at equal time", "",
        f"Written by `{about['command']}`: {about['seconds']:g} s of one core each (`time.process_time`); medians over "
        "seeds. Fashion-MNIST in 14 × 14 pixels and 16 levels, 55 000 training images; 5 000 samples beside 5 000 test "
        f"images in the features of a classifier (seed 0) that is right about {about['accuracy']:.1%} of the test "
        "images; bits on all 10 000 test images.",
        f"{about['machine']}.", "",
        "Samples of the VAEs are centres of p(x | z), which is what `vaekit sample` gives; “drawn” are draws from "
        "p(x | z), of which the bits speak. Bits are exact for the autoregressive model, the ELBO of VAEs and of "
        "diffusion, the bound of uniform noise for the flow; 100 importance draws give the VAEs a tighter bound. "
        "A failed seed: a figure that is not finite, a Fréchet distance above four times the VAE's, or fewer than five "
        "of ten classes with one sample in a hundred.", "",
        "The classifier is dense and hardly sees speckle: read its Fréchet distance beside the distance of spectra "
        "(0 is best), edges (1 is best) and the picture. How many steps go into the seconds differs from seed to seed "
        "where other programs fill the caches.",
        "", "## Medians", "",
    ]  # fmt: skip
    heads = [*HEADS, "failed"]
    lines += [f"| | {' | '.join(HEADS.get(h, h) for h in heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name in MODELS:
        own = [e for key, e in runs.items() if key.rpartition("/")[0] == name]
        if own:
            figures = {h: median(e["figures"].get(h, math.nan) for e in own) for h in HEADS}
            count = sum(failed(e, usual) for e in own)
            lines.append(
                f"| {SAYS[name]} | {' | '.join(cell(h, figures[h]) for h in HEADS)} | {count} of {len(own)} |"
            )
    lines.append(f"| {SAYS['data']} | {' | '.join(cell(h, floor.get(h, math.nan)) for h in HEADS)} | |")
    lines += ["", "## Every seed", "", f"| | seed | {' | '.join(HEADS.values())} | failed |"]
    lines += ["|---" * (len(HEADS) + 3) + "|"]
    for name in MODELS:
        for key, entry in sorted(runs.items()):
            if key.rpartition("/")[0] == name:
                cells = " | ".join(cell(h, entry["figures"].get(h, math.nan)) for h in HEADS)
                lines.append(
                    f"| {name} | {key.rpartition('/')[2]} | {cells} | {'yes' if failed(entry, usual) else ''} |"
                )
    return "\n".join(lines) + "\n"


def cell(what: str, value: float) -> str:
    """A figure as it is printed; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    if what in ("parameters", "steps"):
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if what == "classes" else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def picture(done: dict[str, Any]) -> bytes:
    """A PNG file: real images, and samples of each model's first seed, a row each."""
    from PIL import Image, ImageDraw, ImageFont

    rows = {"real": fashion().test[:SHOWN]}
    for name in MODELS:
        entry = done["runs"].get(f"{name}/0")
        if entry and entry["shown"]:
            digits = np.array([int(digit, 16) for digit in entry["shown"]], dtype=np.uint8)
            rows[SAYS[name]] = digits.reshape(-1, SIDE, SIDE)
    step = ZOOM * SIDE + GAP
    sheet = Image.new("L", (LEFT + SHOWN * step, len(rows) * step + GAP), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=17)
    for row, (name, images) in enumerate(rows.items()):
        y = GAP + row * step
        pen.text((LEFT - 14, y + ZOOM * SIDE // 2), name, fill=0, font=font, anchor="rm")
        for column, image in enumerate(images):
            tile = np.kron(image * (255 // (LEVELS - 1)), np.ones((ZOOM, ZOOM), np.uint8))
            sheet.paste(Image.fromarray(tile), (LEFT + column * step, y))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


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
    parser.add_argument("--seconds", type=float, default=90.0)
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
            print(
                round(time.process_time()),
                name,
                {what: round(value, 4) for what, value in tuned(name, given.seconds).items()},
                flush=True,
            )
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
