"""The lesson's pictures, drawn from what the code of its pages leaves: python docs/lesson/pictures.py [page …]."""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse
from PIL import Image

from vaekit.report.style import FAINT, INK, MAIN, SECOND, SOFT, TEN, WARM, styled

HERE = Path(__file__).parent
PLACE = HERE.parent / "pictures" / "lesson"
LARGEST = 60_000  # bytes
WIDTH, DPI = 7.2, 130  # inches: as wide as the column of text


def ran(page: str) -> SimpleNamespace:
    """The names that a page's Python blocks leave."""
    names: dict[str, object] = {"__name__": "__main__"}
    for match in re.finditer(r"^```python\n(.*?)^```", (HERE / f"{page}.md").read_text(), re.M | re.S):
        exec(compile(match[1], f"{page}.md", "exec"), names)
    return SimpleNamespace(**names)


def paper(axes, pixels, title: str = "", **options) -> None:
    """One picture, ink on paper, (64,) or (H, W)."""
    pixels = np.asarray(pixels, dtype=float)
    side = 8 if pixels.size == 64 else None
    axes.imshow(pixels.reshape(8, 8) if side else pixels, cmap="gray_r", vmin=0, vmax=1, **options)
    axes.set_xticks([]), axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(FAINT)
    axes.set_title(title)


def sheet(rows: dict[str, np.ndarray], width: float = WIDTH) -> Figure:
    """Rows of pictures, each with its name at the left."""
    columns = len(next(iter(rows.values())))
    drawn = Figure(figsize=(width, (width - 1.6) / columns * len(rows) + 0.1))
    grid = drawn.subplots(len(rows), columns, squeeze=False)
    for line, (name, pictures) in zip(grid, rows.items(), strict=True):
        for axes, pixels in zip(line, pictures, strict=True):
            paper(axes, pixels)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return drawn


def index(page: SimpleNamespace) -> Figure:
    return sheet(
        {"not seen before": page.unseen[:12], "drawn again": page.redrawn[:12], "invented": page.invented}
    )


def elbo(page: SimpleNamespace) -> Figure:
    drawn = Figure(figsize=(WIDTH, 3.1))
    left, middle, right = drawn.subplots(1, 3, width_ratios=[1, 1, 2.2])
    paper(left, page.x, "the digit x")
    paper(middle, page.p, "ink p(x | z)")
    size = len(page.side)
    right.contourf(
        page.side, page.side, page.posterior.reshape(size, size), 8, cmap="Blues", vmin=0, zorder=1
    )
    for radius in (1, 2):
        right.add_patch(Circle((0, 0), radius, fill=False, color=SOFT, ls="--", lw=1, zorder=2))
        width, height = 2 * radius * page.s
        right.add_patch(Ellipse(page.m, width, height, fill=False, color=WARM, lw=1.6, zorder=3))
    right.plot(*page.z, "o", color=INK, ms=5, zorder=4)
    right.annotate("the draw z", page.z, (8, 6), textcoords="offset points", zorder=5)
    right.plot([], [], "--", color=SOFT, label="prior p(z), 1 and 2 sd")
    right.plot([], [], "s", color="#4a90c8", label="true posterior p(z | x)")
    right.plot([], [], "-", color=WARM, label="cloud q(z | x), 1 and 2 sd")
    right.legend(loc="lower right", fontsize=8.5)
    right.set(
        xlim=(-2.7, 2.7), ylim=(-2.7, 2.7), aspect="equal", xlabel="first axis of z", ylabel="second axis of z"
    )
    right.set_title("the plane")
    return drawn


DRAWN: dict[str, Callable[[SimpleNamespace], Figure]] = {"index": index, "elbo": elbo}


def small(drawn: Figure) -> bytes:
    """A PNG of at most 128 colours."""
    plain, packed = io.BytesIO(), io.BytesIO()
    drawn.savefig(plain, format="png", dpi=DPI)
    picture = Image.open(plain).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(packed, format="png", optimize=True)
    return packed.getvalue()


def main(pages: list[str]) -> None:
    PLACE.mkdir(exist_ok=True)
    for page in pages or DRAWN:
        names = ran(page)
        with styled():
            content = small(DRAWN[page](names))
        if len(content) > LARGEST:
            raise SystemExit(f"{page}.png has {len(content)} bytes; {LARGEST} are allowed")
        (PLACE / f"{page}.png").write_bytes(content)
        print(f"{page}.png: {len(content) / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
