"""What a notebook shows of a run, a model or a data card: one small static table, offline, every word escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

MOST_ROWS, LONGEST = 60, 400  # rows, and characters of a cell
# no colours of its own: it takes those of the notebook, dark or light
STYLE = "border-collapse:collapse;overflow-wrap:break-word;max-width:52em;text-align:left"
CELL = "text-align:left;vertical-align:top;padding:.2em .8em .2em 0;border-bottom:1px solid #8885;white-space:normal"


def table(title: str, rows: Iterable[tuple[str, Any]], note: str = "") -> str:
    """Names and values as HTML.

    Args:
        title: What it is.
        rows: Names and values; those that are None or empty are left out, and of many the last.
        note: A sentence below.

    Example:
        >>> table("<b>", [("n", 3), ("none", None)], "done").count("<tr>"), "<b>" in table("<b>", [])
        (1, False)
    """
    kept = [(name, value) for name, value in rows if value is not None and value not in ("", [], {}, ())]
    lines = [
        f'<tr><th scope="row" style="{CELL}">{text(name)}</th><td style="{CELL}">{text(value)}</td></tr>'
        for name, value in kept[:MOST_ROWS]
    ]
    more = f"{len(kept) - MOST_ROWS} more. " if len(kept) > MOST_ROWS else ""
    below = f"<div>{text(more + note)}</div>" if more or note else ""
    head = f"<div><strong>{text(title)}</strong></div>"
    return f'<div>{head}<table style="{STYLE}"><tbody>{"".join(lines)}</tbody></table>{below}</div>'


def text(value: Any) -> str:
    """A value as escaped text of at most 400 characters.

    Example:
        >>> text([1, 2.5]), text({"a": True}), text("<i>")
        ('1, 2.5', 'a: True', '&lt;i&gt;')
    """
    shown = spoken(value)
    shown = "".join(letter if letter.isprintable() else " " for letter in shown)
    return escape(shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…")


def spoken(value: Any) -> str:
    """A JSON value as short text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {spoken(part)}" for name, part in list(value.items())[:20])
    if isinstance(value, list | tuple):
        return ", ".join(spoken(part) for part in value[:20])
    return f"{value:.4g}" if isinstance(value, float) else str(value)
