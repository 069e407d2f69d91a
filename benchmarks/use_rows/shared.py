"""What every row of the benchmark of uses is made of."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Figures = dict[str, float]
DATA = Path(os.environ.get("VAEKIT_DATA", "data"))


@dataclass(frozen=True)
class Row:
    """One question about a use, answered by ours and by its peers.

    Attributes:
        title: Heading of its table.
        says: Data and protocol, in a sentence or two.
        arms: Name → (seed → figures); ours first. A function is run once for each seed, whichever rows it stands in.
        shown: The figures to print, in order.
        goals: What is asked, in words → (arm → median figures) → whether it is reached.
    """

    title: str
    says: str
    arms: dict[str, Callable[[int], Figures]]
    shown: tuple[str, ...]
    goals: dict[str, Callable[[dict[str, Figures]], bool]] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file it stands in, without its ending."""
        return next(iter(self.arms.values())).__module__.rpartition(".")[2]
