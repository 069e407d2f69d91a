"""Where each column of a table stands in the model's row, for what looks at parts and not at cells."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vaekit.data import Table
from vaekit.data.columns import Column


class Parts:
    """The parts of a table's row by column: scores, then bits of presence, then categories.

    Args:
        kind: The table.

    Attributes:
        columns: The columns that are modelled.
        score, bit, head: The place of each column's part by the column's name; not every column has each of them.
        scored, headed: The columns with a score, and those with categories, in the order of their parts.

    Example:
        >>> import pandas as pd
        >>> from vaekit.data import TableSource, detect
        >>> kind, _ = detect(TableSource(pd.DataFrame({"size": [1.5, 2.5, 4.0], "sex": ["f", "m", None]})))
        >>> parts = Parts(kind)
        >>> parts.score, parts.bit, parts.head
        ({'size': 0}, {'sex': 1}, {'sex': 2})
    """

    def __init__(self, kind: Table) -> None:
        self.columns, self.scored, self.headed = kind.modelled, kind.scored, kind.headed
        holed, bits = kind.holed, len(kind.scored)
        self.score = {c.name: i for i, c in enumerate(self.scored)}
        self.bit = {c.name: bits + i for i, c in enumerate(holed)}
        self.head = {c.name: bits + len(holed) + i for i, c in enumerate(self.headed)}

    def present(self, x: Tensor, column: Column) -> Tensor:
        """Which rows (N, P) have a cell in a column, (N,) of bool."""
        if column.name in self.bit:
            return x[:, self.bit[column.name]] >= 0.5
        return torch.ones(len(x), dtype=torch.bool, device=x.device)

    def features(self, x: Tensor) -> Tensor:
        """Rows (N, P) as numbers between which distances mean something, (N, F).

        Two different categories are as far apart as two numbers one standard deviation apart; what a hole or a point
        mass leaves without meaning is zero.
        """
        found = []
        for column in self.scored:
            counts = self.present(x, column)
            if column.levels > 1:
                counts = counts & (x[:, self.head[column.name]].round().long() == column.levels - 1)
            found.append(torch.where(counts, x[:, self.score[column.name]], 0.0).unsqueeze(1))
        found += [x[:, place].unsqueeze(1) for place in self.bit.values()]
        for column in self.headed:
            level = functional.one_hot(x[:, self.head[column.name]].round().long(), column.levels)
            found.append(level * self.present(x, column).unsqueeze(1) / math.sqrt(2))
        return torch.cat(found, 1).float()

    def probabilities(self, px: Any) -> dict[str, Tensor]:
        """p(x | z) of a table (N rows) as the probability of each category by column, (N, levels)."""
        logits = [
            row for name, part in px.parts.items() if name not in ("numbers", "present")
            for row in part.logits.unbind(1)
        ]  # fmt: skip
        return {c.name: row[:, : c.levels].softmax(1) for c, row in zip(self.headed, logits, strict=True)}
