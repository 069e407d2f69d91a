"""Runs beside one another: figures with intervals over seeds, which runs no other beats, how they differ, samples."""

from vaekit.comparison.runs import Entry, entries
from vaekit.comparison.shown import as_json, as_text, write
from vaekit.comparison.table import Comparison, compare

__all__ = ["Comparison", "Entry", "as_json", "as_text", "compare", "entries", "write"]
