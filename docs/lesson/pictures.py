"""The lesson's pictures, drawn from what the code of its pages leaves: python docs/lesson/pictures.py [page …]."""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Ellipse, Patch
from PIL import Image

from vaekit.report.style import FAINT, INK, MAIN, SECOND, SOFT, TEN, WARM, styled

HERE = Path(__file__).parent
PLACE = HERE.parent / "pictures" / "lesson"
LARGEST = 60_000  # bytes
WIDTH, DPI, COLOURS = 7.2, 115, 48  # inches, dots an inch, as many as a PNG has


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
    drawn = Figure(figsize=(WIDTH, 3.6))
    left, middle, right = drawn.subplots(1, 3, width_ratios=[1, 1, 1.35])
    paper(left, page.x, "the digit x")
    paper(middle, page.p, "ink p(x | z)")
    size = len(page.side)
    right.contourf(
        page.side, page.side, page.posterior.reshape(size, size), [0.05, 0.15, 0.3, 0.5, 0.8, 1.2, 2], cmap="Blues",
        vmin=-0.3, extend="max", zorder=1,
    )  # fmt: skip
    for radius in (1, 2):
        right.add_patch(Circle((0, 0), radius, fill=False, color=SOFT, ls="--", lw=1, zorder=2))
        width, height = 2 * radius * page.s
        right.add_patch(Ellipse(page.m, width, height, fill=False, color=WARM, lw=1.6, zorder=3))
    right.plot(*page.z, "o", color=INK, ms=5, zorder=4)
    right.annotate("the draw z", page.z, (0, -0.2), ha="center", arrowprops={"arrowstyle": "-", "color": INK})
    right.plot([], [], "--", color=SOFT, label="prior p(z), 1 and 2 sd")
    right.plot([], [], "s", color="#4a90c8", label="true posterior p(z | x)")
    right.plot([], [], "-", color=WARM, label="cloud q(z | x), 1 and 2 sd")
    drawn.legend(loc="outside lower left", ncols=3)
    right.set(xlim=(-2.4, 2.4), ylim=(-2.4, 3.3), aspect="equal")
    right.set(xlabel="first axis of z", ylabel="second axis of z", title="the plane")
    return drawn


def autoencoder(page: SimpleNamespace) -> Figure:
    drawn = Figure(figsize=(WIDTH, 7.2))
    cells = drawn.subplots(2, 2)
    for line, model, name in zip(cells, (page.ae, page.vae), ("autoencoder", "VAE"), strict=True):
        codes = model.encode(page.seen).detach().numpy()
        low, high = np.minimum(codes.min(0), -2.6), np.maximum(codes.max(0), 2.6)
        extent = (low[0], high[0], low[1], high[1])
        line[0].scatter(*codes.T, s=6, c=[TEN[label] for label in page.labels[:1500]], lw=0)
        line[0].set(ylabel="second axis of z", title=f"{name}: the codes of digits")
        atlas(line[1], page, model, extent)
        line[1].set_title("what is drawn there; dead is red")
        for axes in line:
            axes.add_patch(Circle((0, 0), 2, fill=False, color=INK, ls="--", lw=1.2))
            axes.set(xlim=extent[:2], ylim=extent[2:], xlabel="first axis of z")
            axes.set_box_aspect(1)
    handles: list[Artist] = [Patch(color=TEN[digit], label=str(digit)) for digit in range(10)]
    handles.append(Line2D([], [], color=INK, ls="--", lw=1.2, label="normal, 2 sd"))
    drawn.legend(handles=handles, loc="outside lower center", ncols=11, handlelength=1.0, columnspacing=0.9)
    return drawn


def atlas(axes, page: SimpleNamespace, model, extent: tuple[float, ...], side: int = 13) -> None:
    """What is drawn at each place of the plane, ink or paper; dead places in red."""
    across, up = (torch.linspace(a, b, 2 * side + 1)[1::2] for a, b in (extent[:2], extent[2:]))
    z = torch.stack(torch.meshgrid(across, up.flip(0), indexing="xy"), 2).reshape(-1, 2)
    with torch.no_grad():
        ink = (model.decode(z).mean > 0.5).float()
    dead = (page.strangeness(ink) > page.limit).view(-1, 1, 1, 1)
    ink = torch.nn.functional.pad(ink.view(-1, 8, 8, 1), (0, 0, 1, 1, 1, 1))  # a margin around each
    white, black, red = torch.ones(3), torch.full((3,), 0.12), torch.tensor([0.95, 0.55, 0.48])
    tile = torch.where(ink > 0, black, torch.where(dead, red, white))
    image = tile.view(side, side, 10, 10, 3).permute(0, 2, 1, 3, 4).reshape(10 * side, 10 * side, 3)
    axes.imshow(image.numpy(), extent=extent, aspect="auto", interpolation="nearest")
    axes.grid(False)


def two_terms(page: SimpleNamespace) -> Figure:
    names = ("both terms", "without the rate", "without the\ndistortion")
    rows = {"not seen before": np.concatenate([page.unseen[:6], np.full((6, 64), np.nan)])}
    for name, redrawn, invented in zip(names, page.redrawn, page.invented, strict=True):
        rows[name] = np.concatenate([redrawn, invented])
    return halves(rows)


def halves(rows: dict[str, np.ndarray]) -> Figure:
    """A sheet whose left half is redrawn and whose right half is invented; empty where there is nothing."""
    drawn = sheet(rows)
    lines = np.array(drawn.axes).reshape(len(rows), -1)
    for axes in lines[0, lines.shape[1] // 2 :]:
        axes.set_axis_off()
    lines[1, 0].set_title("redrawn")
    lines[1, lines.shape[1] // 2].set_title("invented")
    return drawn


def gradients(page: SimpleNamespace) -> Figure:
    drawn = Figure(figsize=(WIDTH, 2.7))
    kinds = {"reparameterised": page.path, "score function": page.score, "score less its mean": page.centred}
    pair = page.path.var(0).argsort(descending=True)[:2]  # the two axes of z that the picture hangs on most
    for axes, (name, g), color in zip(drawn.subplots(1, 3), kinds.items(), (MAIN, WARM, SOFT), strict=True):
        axes.plot(*g[:1_500, pair].T.numpy(), ".", ms=3, color=color, alpha=0.5, mew=0)
        axes.plot(*page.path.mean(0)[pair].tolist(), "+", color=INK, ms=9, mew=1.4)
        axes.set(xlim=(-45, 45), ylim=(-45, 45), aspect="equal", title=name)
        axes.set(xlabel="∂ / ∂ m of one axis", xticks=[-40, 0, 40], yticks=[-40, 0, 40])
    drawn.axes[0].set_ylabel("∂ / ∂ m of another")
    return drawn


def blur(page: SimpleNamespace) -> Figure:
    rows = {"not seen before": np.concatenate([page.squares(page.unseen[:6]), np.full((6, 8, 8), np.nan)])}
    for name, figures in page.found.items():
        rows[f"σ = {name}" if name != "learned" else f"σ learned: {figures['sigma']:.2f}"] = figures[
            "pictures"
        ]
    return halves(rows)


def collapse(page: SimpleNamespace) -> Figure:
    drawn = Figure(figsize=(WIDTH, 2.4))
    left, right = drawn.subplots(1, 2, sharey=True)
    found = {
        "as it is": page.plain, "warm-up": page.warm_up, "free bits": page.free_bits,
        "batch normalisation": page.batch_norm,
    }  # fmt: skip
    names = list(found)
    for axes, what, color in ((left, "elbo", SECOND), (right, "matters", MAIN)):
        values = [found[name][what] for name in names]
        bars = axes.barh(names, values, color=color, height=0.62)
        axes.bar_label(bars, fmt="%.1f", padding=4)
        axes.margins(x=0.18)
        axes.grid(False)
    left.set(title="ELBO, nats", xlim=(-23, 0))
    right.set(title="nats lost with another digit's code")
    left.invert_yaxis()
    return drawn


DRAWN: dict[str, Callable[[SimpleNamespace], Figure]] = {
    "index": index, "elbo": elbo, "autoencoder": autoencoder, "two_terms": two_terms, "gradients": gradients,
    "blur": blur, "collapse": collapse,
}  # fmt: skip


def small(drawn: Figure) -> bytes:
    """A PNG of few colours."""
    plain, packed = io.BytesIO(), io.BytesIO()
    drawn.savefig(plain, format="png", dpi=DPI)
    picture = Image.open(plain).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
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
