"""What the figures of a run mean: their names for people, a sentence each, and which way is better."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Meaning(NamedTuple):
    """A figure in words.

    Attributes:
        title: Its name for people.
        sentence: What it is, with its unit.
        better: Which way is better; None where neither is by itself.
    """

    title: str
    sentence: str
    better: Literal["higher", "lower"] | None = None


MEANINGS = {
    "elbo": Meaning("ELBO", "a lower bound of log p(x), nats per item; higher is better", "higher"),
    "rate": Meaning("rate", "KL(q(z | x) ‖ p(z)): what the code costs, nats per item", "lower"),
    "distortion": Meaning(
        "distortion", "−log p(x | z): what the reconstruction misses, nats per item", "lower"
    ),
    "nll": Meaning("−log p(x)", "by importance sampling, nats per item; lower is better", "lower"),
    "nll_se": Meaning("its standard error", "over items"),
    "bits_per_dim": Meaning("bits per dimension", "the same per value of an item, in bits", "lower"),
    "active_units": Meaning("dimensions in use", "posterior mean varies by more than 0.01 over items"),
    "n": Meaning("held-out items", "that the figures are means over"),
    "samples": Meaning("importance samples", "per item, for −log p(x)"),
    "seconds": Meaning("seconds", "of training, reading and the report; fewer is better", "lower"),
}
