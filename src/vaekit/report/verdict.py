"""The verdict: does the model reconstruct, are its samples like data, is its latent used; each with its number."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vaekit.report.style import number, word

Arrays = dict[str, np.ndarray]
YES, PARTLY, NO, UNSAID = "yes", "partly", "no", "cannot be said"
SYMBOLS = {YES: "✓", PARTLY: "◐", NO: "✗", UNSAID: "?"}
MUCH, SOME = 0.6, 0.2  # share of how items differ that comes back
ALIKE, TOLD = 0.65, 0.8  # AUC up to which samples are alike, and from which they are told apart
CERTAIN = 0.75  # what the interval of alike samples stays below
FEWEST = 100  # held-out items from which samples can be called alike: fewer would let anything pass
OFF, FAR_OFF = 0.15, 0.4  # difference of a pair's correlation that is too much, and that spoils the samples
SURE = 0.01  # p-value below which a difference is no chance
TELLS = 1.0  # nats from which the latent says something worth having


@dataclass(frozen=True)
class Light:
    """One of the three questions.

    Attributes:
        what: reconstructs, samples or latent used.
        answer: yes, partly, no, or cannot be said.
        says: One sentence with its number and what it is held against.
    """

    what: str
    answer: str
    says: str

    @property
    def symbol(self) -> str:
        return SYMBOLS.get(self.answer, "?")

    @property
    def tone(self) -> str:
        """The answer as one word for the page's style."""
        return "unsaid" if self.answer == UNSAID else self.answer


def lights(metrics: dict[str, Any], evidence: Arrays) -> list[Light]:
    """The three lights; a question that nothing is known of is left out.

    Args:
        metrics: Figures on all held-out items.
        evidence: What `gather` found.
    """
    found = [_reconstructs(metrics, evidence), _samples(evidence), _used(metrics, evidence)]
    return [light for light in found if light is not None]


def as_facts(found: list[Light]) -> list[dict[str, str]]:
    """The lights as JSON, for run.json and the model card."""
    return [asdict(light) for light in found]


def from_facts(found: Any) -> list[Light]:
    """The lights that run.json holds; what is none of them is left out."""
    kept = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    return [Light(*(str(item.get(name, ""))[:400] for name in ("what", "answer", "says"))) for item in kept]


# ---------------------------------------------------------------------- reconstructs


def _reconstructs(metrics: dict[str, Any], evidence: Arrays) -> Light | None:
    share, of = _share(evidence)
    if share is None:
        return None
    gain, error = (float(value) for value in evidence.get("verdict_gain", (math.nan, math.nan)))
    answer = YES if share >= MUCH else PARTLY if share >= SOME else NO
    if math.isfinite(gain) and gain < 2 * error:
        answer = NO
    comes = of.format(f"{100 * max(0.0, share):.0f}\u00a0%")
    distortion = metrics.get("distortion")
    if not isinstance(distortion, int | float) or not math.isfinite(gain):
        return Light("reconstructs", answer, f"{comes}.")
    other = f"{number(float(distortion) + gain)} for the best model without a latent"
    return Light(
        "reconstructs", answer, f"{comes}; distortion {number(float(distortion))} nats per item, {other}."
    )


def _share(evidence: Arrays) -> tuple[float | None, str]:
    """The share of how held-out items differ that their reconstructions have, and a sentence for it."""
    if "rebuilt_score" in evidence and len(evidence["rebuilt_score"]):
        base = evidence["rebuilt_base"]
        skill = (evidence["rebuilt_score"] - base) / np.maximum(1 - base, 1e-3)
        return float(
            skill.clip(-1, 1).mean()
        ), "In the mean over columns, {} of what a guess without the row gets wrong comes back from the code"
    if "verdict_explained" not in evidence:
        return None, ""
    text = str(evidence.get("form", "")) == "text"
    return (
        float(evidence["verdict_explained"][0]),
        "{} of the places that are not as usual come back right"
        if text
        else "{} of how held-out items differ comes back from the code",
    )


# ---------------------------------------------------------------------- samples


def _samples(evidence: Arrays) -> Light | None:
    if not bool(evidence.get("samples", True)):
        return Light("samples", NO, "This model's code has no prior to draw from, so there are no samples.")
    if "verdict_apart" not in evidence:
        count = int(evidence.get("seen_count", 0))
        return Light("samples", UNSAID, f"{_items(count)} held out are too few to say.") if count else None
    auc, low, high, rows = (float(value) for value in evidence["verdict_apart"])
    answer = _told(auc, low, high, rows)
    picks = (
        f"Shown a sample and a held-out item, a classifier picks out the sample {auc * 100:.0f} times in 100"
    )
    interval = f"(50: it guesses; AUC {auc:.2f}, 95\u00a0% interval {low:.2f} to {high:.2f})"
    few = f"; {_items(int(rows))} are too few to say more" if answer == UNSAID else ""
    worst, off = _correlation(evidence)
    if off:
        answer = max(answer, off, key=(YES, UNSAID, PARTLY, NO).index)
    copied = _copied(evidence)
    if copied and answer in (YES, UNSAID):
        answer = PARTLY
    return Light(
        "samples", answer, " ".join(part for part in (f"{picks} {interval}{few}.", worst, copied) if part)
    )


def _told(auc: float, low: float, high: float, rows: float) -> str:
    if low >= TOLD:
        return NO
    if auc <= ALIKE and high <= CERTAIN and rows >= FEWEST:
        return YES
    return PARTLY if low > 0.55 else UNSAID


def _correlation(evidence: Arrays) -> tuple[str, str]:
    """The pair of columns whose correlation is most off, in words, and the best answer it leaves; empty if none is."""
    if "verdict_correlation" not in evidence:
        return "", ""
    real, drawn, chance = (float(value) for value in evidence["verdict_correlation"])
    first, second = (word(name, 30) for name in evidence["verdict_pair"])
    if chance > SURE:
        return "No correlation of two columns is off by more than chance.", ""
    both = f"{number(round(real, 2))} in the data and {number(round(drawn, 2))} in samples"
    says = f"The correlation that is most off, of {first} and {second}, is {both}."
    off = abs(real - drawn)
    return says, NO if off >= FAR_OFF else PARTLY if off >= OFF else ""


def _copied(evidence: Arrays) -> str:
    samples, held = (float(rate) for rate in evidence.get("copy_rate", (0.0, 0.0)))
    return f"{samples:.0%} of them nearly repeat a training item." if samples > max(0.1, 5 * held) else ""


# ---------------------------------------------------------------------- latent used


def _used(metrics: dict[str, Any], evidence: Arrays) -> Light | None:
    told = evidence.get("verdict_information")
    swapped = evidence.get("verdict_swapped")
    active = active_units(metrics, evidence)
    if told is None and swapped is None and active is None and "codebook" not in evidence:
        return None
    measure = float(told[0]) if told is not None else None if swapped is None else float(swapped[0])
    unused = swapped is not None and float(swapped[0]) < max(0.1, 2 * float(swapped[1]))
    answer = (
        NO if unused or active == 0 or (measure or 0.0) < 0.1 else PARTLY if (measure or 0.0) < TELLS else YES
    )
    parts = []
    if active is not None:
        whole = f" of {len(evidence['order'])}" if "order" in evidence else ""
        parts.append(f"{number(active)}{whole} latent dimensions are in use")
    if "codebook" in evidence:
        used, perplexity, size = (float(value) for value in evidence["codebook"])
        parts.append(f"{used:.0%} of {number(size)} codes are in use (perplexity {number(perplexity)})")
        if perplexity < 0.1 * size and answer == YES:
            answer = PARTLY
    if told is not None:
        information, most = (float(value) for value in told)
        least = "at least " if information > 0.9 * most else ""  # so few items cannot show more
        parts.append(f"a code tells {least}{number(information)} nats about its item")
    if swapped is not None:
        rise = f"{number(float(swapped[0]))} nats (0: it is ignored)"
        parts.append(f"with another item's code the distortion rises by {rise}")
    sentence = "; ".join(parts)
    return Light("latent used", answer, f"{sentence[:1].upper()}{sentence[1:]}.")


def active_units(metrics: dict[str, Any], evidence: Arrays) -> int | None:
    """Latent dimensions in use, over all held-out items: the one count of the whole report."""
    if "active" in evidence:
        return int(evidence["active"].sum())
    value = metrics.get("active_units")
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _items(count: int) -> str:
    return f"{number(count)} item{'' if count == 1 else 's'}"
