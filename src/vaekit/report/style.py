"""One look for every picture of the report: sizes, colours, words."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from vaekit.progress import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 5.6  # inches: narrow, so that letters can still be read when a telephone shrinks the picture
DPI = 200
INK, SOFT, FAINT = "#1f2430", "#6b7280", "#d7dae0"
MAIN, SECOND, WARM = "#2f6fb0", "#9db7d1", "#d2691e"
# Petroff (2021), Accessible color sequences for data visualization, arXiv:2107.02270
TEN = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip

STYLE: Any = {
    "font.family": "sans-serif", "font.size": 10.5, "axes.titlesize": 10.5, "axes.labelsize": 10.5,
    "xtick.labelsize": 9.5, "ytick.labelsize": 9.5, "legend.fontsize": 9.5,
    "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "axes.edgecolor": SOFT,
    "xtick.color": SOFT, "ytick.color": SOFT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left", "axes.titlepad": 5.0,
    "axes.grid": True, "grid.color": "#eceef1", "grid.linewidth": 0.8, "axes.axisbelow": True,
    "lines.linewidth": 1.6, "legend.frameon": False, "figure.dpi": DPI, "savefig.dpi": DPI,
    "figure.facecolor": "white", "axes.facecolor": "white", "figure.constrained_layout.use": True,
    "text.parse_math": False,  # names come from people: a dollar sign is a dollar sign
    "axes.formatter.useoffset": False,
}  # fmt: skip


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the report's look; a letter that the font lacks is a box, not a warning."""
    import matplotlib

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, inches; it belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def pixels(drawn: Figure) -> np.ndarray:
    """A figure as (height, width, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(drawn)
    canvas.draw()  # savefig would draw everything twice
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def png(picture: Figure | np.ndarray) -> bytes:
    """A figure or its pixels as PNG, the same bytes for the same pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture if isinstance(picture, np.ndarray) else pixels(picture)).save(
        buffer, format="PNG"
    )
    return buffer.getvalue()


def word(text: object, most: int = 22) -> str:
    """A name as one short line that can be printed.

    Example:
        >>> word("a\\nb"), word("x" * 30, 8)
        ('a b', 'xxxxxxx…')
    """
    line = one_line(text, most)
    return f" {line}" if line.startswith("_") else line or "?"  # matplotlib hides names that begin with _


def number(value: float, digits: int = 3) -> str:
    """A number as people write it.

    Example:
        >>> number(12345.6), number(0.01234), number(-92.127), number(3)
        ('12 346', '0.0123', '−92.1', '3')
    """
    if value != value or value in (float("inf"), float("-inf")):
        return "–"
    size = abs(value)
    if size >= 10_000:
        text = f"{size:.3e}" if size >= 1e12 else f"{size:,.0f}".replace(",", " ")
    elif size and size < 1e-3:
        text = f"{size:.{digits - 1}g}"
    else:
        text = (
            f"{size:.{max(0, digits - max(1, len(str(int(size)))))}f}" if size >= 1 else f"{size:.{digits}g}"
        )
    if "." in text and "e" not in text and float(value).is_integer():
        text = text.rstrip("0").rstrip(".")
    return f"−{text}" if value < 0 and float(size) else text
