"""Sheets of pictures: every pixel of an item becomes a square of whole pixels, beside words in the report's look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vaekit.report.style import DPI, FAINT, INK, SOFT, WIDTH, figure, number, png

Arrays = dict[str, np.ndarray]
GAP = 8  # pixels between two pictures
LINE = 34  # pixels of a line of words
GROUPS = ("best", "median", "worst")


@dataclass
class Sheet:
    """Rows of pictures from top to bottom; words stand to the left of a row and under its pictures.

    Args:
        columns: Pictures in a row.
        left: Pixels for the words on the left.
    """

    columns: int
    left: int = 150
    rows: list[tuple[str, Any, list[str], int, bool]] = field(default_factory=list)

    def add(
        self, name: str, pictures: np.ndarray | None, under: list[str] | None = None, above: int = 0, loud: bool = False
    ) -> None:
        """One row.

        Args:
            name: What stands to its left.
            pictures: (n, H, W[, 3]) uint8, or None for a line of words alone.
            under: A word under each picture.
            above: Pixels left free above it.
            loud: Whether the name is a heading.
        """
        self.rows.append((name, pictures, under or [], above, loud))

    def png(self) -> bytes:
        """The sheet as a file."""
        tile = next(tiles for _, tiles, *_ in self.rows if tiles is not None)[0]
        factor = max(1, int((WIDTH * DPI - self.left) / self.columns - GAP) // tile.shape[1])
        height, width = tile.shape[0] * factor, tile.shape[1] * factor
        total = sum(
            above + (0 if tiles is None else height + GAP) + (LINE if under or tiles is None else 0)
            for _, tiles, under, above, _ in self.rows
        )
        wide = self.left + self.columns * (width + GAP)
        tall = total + 2 * GAP
        drawn, top = figure(tall / DPI, wide / DPI), total + GAP
        for name, tiles, under, above, loud in self.rows:
            top -= above
            if tiles is None:
                drawn.text(GAP / wide if loud else self.left / wide, (top - LINE / 2) / tall, name,
                           va="center", color=INK, fontsize=10.5, fontweight="bold" if loud else "normal")  # fmt: skip
                top -= LINE
            else:
                self._row(drawn, name, _enlarged(tiles, factor), top, tall, wide)
                top -= height + GAP
            for i, text in enumerate(under):
                x = self.left + i * (width + GAP) + width / 2
                drawn.text(x / wide, (top - LINE / 2 + GAP) / tall, text, ha="center", va="center",
                           fontsize=8.5, color=SOFT)  # fmt: skip
            top -= LINE if under and tiles is not None else 0
        return png(drawn)

    def _row(self, drawn: Any, name: str, tiles: np.ndarray, top: int, tall: int, wide: int) -> None:
        height, width = tiles.shape[1:3]
        drawn.text((self.left - 12) / wide, (top - height / 2) / tall, name, ha="right", va="center", fontsize=9.5)
        for i, tile in enumerate(tiles):
            drawn.figimage(_framed(tile), self.left + i * (width + GAP), top - height, origin="upper")


def _enlarged(tiles: np.ndarray, factor: int) -> np.ndarray:
    """(n, H, W[, 3]) → (n, H·f, W·f, 3)."""
    tiles = tiles if tiles.ndim == 4 else np.repeat(tiles[..., None], 3, axis=-1)
    return tiles.repeat(factor, axis=1).repeat(factor, axis=2)


def _framed(tile: np.ndarray) -> np.ndarray:
    """A picture with a thin edge, so that a white one can be seen on white."""
    tile, edge = tile.copy(), tuple(int(FAINT[i : i + 2], 16) for i in (1, 3, 5))
    tile[[0, -1]], tile[:, [0, -1]] = edge, edge
    return tile


def heat(error: np.ndarray) -> np.ndarray:
    """Errors (n, H, W) uint8 as colours (n, H, W, 3): white where there is none, dark red where it is whole."""
    import matplotlib

    return (matplotlib.colormaps["OrRd"](error)[..., :3] * 255).round().astype(np.uint8) * (error[..., None] > 0) + (
        255 * (error[..., None] == 0)
    ).astype(np.uint8)


# ---------------------------------------------------------------------- what is drawn


def reconstructions(evidence: Arrays) -> bytes:
    """Best, median and worst held-out items: as they are, as rebuilt, and the error."""
    items, rebuilt = evidence["items_x"], evidence["items_rebuilt"]
    error, score = evidence["items_error"], evidence["items_score"]
    sheet = Sheet(items.shape[1])
    for group, name in enumerate(GROUPS):
        sheet.add(name, None, above=0 if group == 0 else 14, loud=True)
        sheet.add("item", items[group])
        sheet.add("rebuilt", rebuilt[group])
        sheet.add("error", heat(error[group]), under=[number(value, 4) for value in score[group]])
    return sheet.png()


def samples(evidence: Arrays, columns: int = 8) -> bytes:
    """Prior samples, each above its nearest training item; the nearest pairs first."""
    order = np.argsort(evidence["sample_distance"], kind="stable")
    sheet = Sheet(columns)
    for start in range(0, len(order), columns):
        part = order[start : start + columns]
        sheet.add("sample", evidence["sample_x"][part], above=14 if start else 0)
        sheet.add("nearest", evidence["sample_nearest"][part])
    return sheet.png()


def traversals(evidence: Arrays) -> bytes:
    """A row of pictures for each latent dimension."""
    steps = evidence["walk_steps"]
    nats = dict(zip(evidence["order"].tolist(), evidence.get("kl", ()), strict=False))
    sheet = Sheet(len(steps))
    for place, dim in enumerate(evidence["walk_dims"].tolist()):
        carried = f"\n{nats[dim]:.2f} nats" if dim in nats else ""
        last = place == len(evidence["walk_dims"]) - 1
        under = [number(step) for step in steps.tolist()] if last else []
        sheet.add(f"z{dim}{carried}", evidence["walk_x"][place], under=under)
    return sheet.png()
