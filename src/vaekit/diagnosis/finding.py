"""What one check found: a value held against a threshold, the evidence in a sentence, and what mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vaekit.diagnosis.cure import Cure


@dataclass(frozen=True)
class Finding:
    """The answer of one check.

    Attributes:
        name: Of the check, a word.
        title: What should hold, in a few words.
        value: What was measured; None where the check does not apply.
        threshold: What raises the alarm, in a few words.
        alarm: Whether it does.
        evidence: A sentence with the figures; where the check does not apply, why.
        cure: What mends it, where something is wrong.

    Example:
        >>> Finding("latent", "z is used", 9.5, "below 1 nat", False, "9.5 nats are lost.").state
        'ok'
    """

    name: str
    title: str
    value: float | None
    threshold: str
    alarm: bool
    evidence: str
    cure: Cure | None = None

    @property
    def state(self) -> str:
        """ok, ALARM, or a dash where the check does not apply."""
        return "ALARM" if self.alarm else "–" if self.value is None else "ok"

    def as_json(self, command: str = "") -> dict[str, Any]:
        """As a line of diagnosis.json.

        Args:
            command: That mends it.
        """
        facts = {name: value for name, value in asdict(self).items() if name != "cure"}
        return {**facts, "cure": command or None}


def left_out(name: str, title: str, threshold: str, reason: str) -> Finding:
    """A check that does not apply, with the reason."""
    return Finding(name, title, None, threshold, False, reason)
