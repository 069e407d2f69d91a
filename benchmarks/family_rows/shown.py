"""What was measured of the families, as a table in Markdown and as a picture of samples."""

from __future__ import annotations

import io
import math
from statistics import median
from typing import Any

import numpy as np

from family_rows.shared import LEVELS, SIDE, fashion

SHOWN = 16  # samples of each model
LEFT, ZOOM, GAP = 230, 4, 6  # of the picture: pixels for names, a side of one pixel, between images
WORSE, CLASSES = (
    4.0,
    5,
)  # times the VAE's Fréchet distance above which, and classes below which, a seed has failed
NAMES = {
    "vae": "VAE (ours)",
    "hierarchical": "hierarchical VAE (ours)",
    "gan": "GAN",
    "diffusion": "diffusion",
    "flow": "flow",
    "autoregressive": "autoregressive",
}
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


def failed(entry: dict[str, Any], usual: float) -> bool:
    """Whether a seed has failed; `usual` is the VAE's Fréchet distance."""
    figures = entry["figures"]
    finite = all(math.isfinite(value) for value in figures.values())
    return not finite or figures["frechet"] > WORSE * usual or figures["classes"] < CLASSES


def table(done: dict[str, Any]) -> str:
    """The measured table in Markdown: medians, and every seed below."""
    about, runs = done["about"], done["runs"]
    usual = median(e["figures"]["frechet"] for key, e in runs.items() if key.startswith("vae/"))
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
        "",
    ]  # fmt: skip
    return "\n".join([*lines, *_medians(about["data"], runs, usual), "", *_seeds(runs, usual)]) + "\n"


def _head(title: str, names: list[str]) -> list[str]:
    """What stands above a table's lines."""
    return [f"## {title}", "", f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]


def _medians(data: dict[str, float], runs: dict[str, Any], usual: float) -> list[str]:
    """A line for each model, and one for training images in the place of samples."""
    lines = _head("Medians", [*HEADS.values(), "failed"])
    for name in NAMES:
        own = [e for key, e in runs.items() if key.rpartition("/")[0] == name]
        if own:
            figures = {h: median(e["figures"].get(h, math.nan) for e in own) for h in HEADS}
            count = sum(failed(e, usual) for e in own)
            lines.append(f"| {NAMES[name]} | {_cells(figures)} | {count} of {len(own)} |")
    return [*lines, f"| training images | {_cells(data)} | |"]


def _seeds(runs: dict[str, Any], usual: float) -> list[str]:
    """A line for each seed of each model."""
    lines = _head("Every seed", ["seed", *HEADS.values(), "failed"])
    for name in NAMES:
        for key, entry in sorted(runs.items()):
            model, _, seed = key.rpartition("/")
            if model == name:
                mark = "yes" if failed(entry, usual) else ""
                lines.append(f"| {name} | {seed} | {_cells(entry['figures'])} | {mark} |")
    return lines


def _cells(figures: dict[str, float]) -> str:
    return " | ".join(cell(what, figures.get(what, math.nan)) for what in HEADS)


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
    for name, title in NAMES.items():
        entry = done["runs"].get(f"{name}/0")
        if entry and entry["shown"]:
            digits = np.array([int(digit, 16) for digit in entry["shown"]], dtype=np.uint8)
            rows[title] = digits.reshape(-1, SIDE, SIDE)
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
