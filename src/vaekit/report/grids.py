"""Sheets of pictures: every pixel of an item becomes a square of whole pixels, beside words in the report's look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vaekit.report.style import DPI, FAINT, SOFT, WIDTH, figure, number, pixels, png

Arrays = dict[str, np.ndarray]
GAP = 8  # pixels between two pictures
LINE = 34  # pixels of a line of words
EDGE = tuple(int(FAINT[i : i + 2], 16) for i in (1, 3, 5))  # around each, so that white can be seen on white
HEADING: dict[str, Any] = {"fontsize": 10.5, "fontweight": "bold"}
NAME: dict[str, Any] = {"fontsize": 9.5, "ha": "right"}
UNDER: dict[str, Any] = {"fontsize": 8.5, "ha": "center", "color": SOFT}
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
    rows: list[tuple[str, Any, Sequence[str], int]] = field(default_factory=list)

    def add(
        self, name: str, pictures: np.ndarray | None = None, under: Sequence[str] = (), above: int = 0
    ) -> None:
        """One row.

        Args:
            name: What stands to its left.
            pictures: (n, H, W[, 3]) uint8; without any, the name is a heading.
            under: A word under each picture.
            above: Pixels left free above it.
        """
        self.rows.append((name, pictures, under, above))

    def png(self) -> bytes:
        """The sheet as a file."""
        tile = next(tiles for _, tiles, *_ in self.rows if tiles is not None)[0]
        factor = max(1, round(((WIDTH * DPI - self.left) / self.columns - GAP) / tile.shape[1]))
        height, width = tile.shape[0] * factor, tile.shape[1] * factor
        placed, words, y = [], [], GAP  # pixels from the left and from the top
        for name, tiles, under, above in self.rows:
            y += above
            if tiles is None:
                words.append((GAP, y + LINE / 2, name, HEADING))
                y += LINE
                continue
            words.append((self.left - 12, y + height / 2, name, NAME))
            for i, picture in enumerate(_enlarged(tiles, factor)):
                placed.append((self.left + i * (width + GAP), y, picture))
            y += height + GAP
            for i, text in enumerate(under):
                words.append((self.left + i * (width + GAP) + width / 2, y - GAP + LINE / 2, text, UNDER))
            y += LINE if under else 0
        return png(_composed(y, self.left + self.columns * (width + GAP), words, placed))


def _composed(tall: int, wide: int, words: list[Any], placed: list[Any]) -> np.ndarray:
    """Words drawn on white, then every picture laid over it pixel by pixel with a thin edge around it."""
    drawn = figure(tall / DPI + 1e-6, wide / DPI + 1e-6)
    for x, y, text, look in words:
        drawn.text(x / wide, 1 - y / tall, text, va="center", **look)
    sheet = pixels(drawn)
    for x, y, picture in placed:
        height, width = picture.shape[:2]
        sheet[y - 1 : y + height + 1, x - 1 : x + width + 1] = EDGE
        sheet[y : y + height, x : x + width] = picture
    return sheet


def _enlarged(tiles: np.ndarray, factor: int) -> np.ndarray:
    """(n, H, W[, 3]) → (n, H·f, W·f, 3)."""
    tiles = tiles if tiles.ndim == 4 else np.repeat(tiles[..., None], 3, axis=-1)
    return tiles.repeat(factor, axis=1).repeat(factor, axis=2)


def heat(error: np.ndarray) -> np.ndarray:
    """Errors (n, H, W) uint8 as colours (n, H, W, 3): white where there is none, dark red where it is whole."""
    import matplotlib

    colors = (matplotlib.colormaps["OrRd"](error)[..., :3] * 255).round().astype(np.uint8)
    return np.where(error[..., None] > 0, colors, np.uint8(255))


# ---------------------------------------------------------------------- what is drawn


def reconstructions(evidence: Arrays) -> bytes:
    """Best, median and worst held-out items: as they are, as rebuilt, and the error."""
    items, rebuilt = evidence["items_x"], evidence["items_rebuilt"]
    error, score = evidence["items_error"], evidence["items_score"]
    sheet = Sheet(items.shape[1])
    for group, name in enumerate(GROUPS):
        sheet.add(name, above=0 if group == 0 else 14)
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
