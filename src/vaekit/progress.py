"""What a person sees while training: one live line on a terminal, a plain line each half minute elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

PLAIN_EVERY = 30.0  # seconds between lines where there is no terminal
LIVE_EVERY = 0.25


class Line:
    """A progress line on standard error.

    Args:
        quiet: Print nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet, self.live = quiet, sys.stderr.isatty()
        self.shown = 0.0
        self.bar: Any = None  # rich's, on a terminal
        self.task: Any = None
        self.began = time.monotonic()

    def __enter__(self) -> Line:
        self.shown = self.began = time.monotonic()
        if self.live and not self.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(bar_width=20))
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
            self.bar.start()
            self.task = self.bar.add_task("measuring", total=1.0)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()

    @property
    def due(self) -> bool:
        """Whether it is time to show figures again."""
        every = LIVE_EVERY if self.live else PLAIN_EVERY
        return not self.quiet and time.monotonic() - self.shown >= every

    def show(self, fraction: float, figures: dict[str, Any]) -> None:
        """Show a step's figures and the time left."""
        self.shown = time.monotonic()
        elapsed = self.shown - self.began
        left = elapsed * (1 - fraction) / fraction if fraction > 0 else float("inf")
        text = described(figures) + f"  {duration(left)} left"
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=min(fraction, 1.0), description=text)
        else:
            print(text, file=sys.stderr, flush=True)


def described(figures: dict[str, Any]) -> str:
    """Figures as words: `step 1200  elbo -98.2  rate 22.1 …`.

    Example:
        >>> described({"step": 1200, "elbo": -98.234, "rate": None})
        'step 1200  elbo -98.2'
    """
    shown = {name: value for name, value in figures.items() if value is not None}
    return "  ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in shown.items())


def number(value: Any) -> str:
    """A number with as many digits as people read.

    Example:
        >>> number(-98.234), number(0.01234), number(25000.0), number(3)
        ('-98.2', '0.0123', '25000', '3')
    """
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> duration(7), duration(90), duration(4000), duration(float("inf"))
        ('7s', '1m30s', '1h06m', '?')
    """
    if seconds == float("inf"):
        return "?"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{whole % 60:02}s" if minutes else f"{whole}s"


def one_line(text: object, most: int | None = None) -> str:
    """Any text as one line: printable letters alone, with one space wherever there was anything else.

    Example:
        >>> one_line("a\\n b"), one_line("x" * 30, 8)
        ('a b', 'xxxxxxx…')
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return line if most is None or len(line) <= most else line[: most - 1] + "…"


def say(text: str) -> None:
    """A line for people, on standard error."""
    print(text, file=sys.stderr, flush=True)
