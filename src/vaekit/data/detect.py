"""Which kind of data and which likelihood: a few rules, each giving its reason in a sentence."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from vaekit.data.batch import Items
from vaekit.data.checks import chunks, enough, listed
from vaekit.data.counts import detect_counts
from vaekit.data.detect_parts import detect_parts
from vaekit.data.detect_table import as_table, as_vectors, detect_table
from vaekit.data.facts import Facts, constant_features, measure
from vaekit.data.images import Binarize, Images, default_family
from vaekit.data.kind import Kind
from vaekit.data.labels import as_tensor, frequencies, same_classes
from vaekit.data.levels import DEPTHS, bad_scale, noisy_white
from vaekit.data.likelihoods import LIKELIHOODS, Setting, asked, is_noise, known_noise
from vaekit.data.loaded import Source, TableSource, TextSource
from vaekit.data.matrices import SparseSource
from vaekit.data.parts import PartsSource
from vaekit.data.tables import Table
from vaekit.data.text import detect_text
from vaekit.data.vectors import Vectors, moments
from vaekit.distributions import Bernoulli, Family, NegativeBinomial, Photons, Poisson
from vaekit.errors import DataError, UsageError, nearest

CHANNELS = (1, 2, 3, 4)
SMALLEST_SIDE = 4  # pixels; narrower arrays are tables of something else
NEARLY_BINARY = 0.75  # share of values in the lowest and highest tenth: MNIST 0.91, Fashion-MNIST 0.60
BOTH_ENDS = 0.03  # share at each end: a dark microscope image is not binary
FEW_LEVELS = 32  # arrays whose largest value is at most this have so many levels, not 256
MOST_CATEGORIES = 1000


Loaded = Source | SparseSource | TableSource | TextSource | PartsSource
KINDS = ("auto", "images", "vectors", "table", "counts", "sequences", "parts")
BINARIZE = ("auto", "none", "dynamic", "threshold")
UNIT_LIKELIHOODS = ("bernoulli", "continuous_bernoulli")  # the values themselves must lie in [0, 1]


def detect(
    source: Loaded,
    kind: str = "auto",
    likelihood: str = "auto",
    binarize: str = "auto",
    minimum: int = 2,
    seed: int = 0,
    told: Mapping[str, str] | None = None,
    conditional: bool = False,
) -> tuple[Kind, list[str]]:
    """The kind of some data, and the reasons for it.

    Args:
        source: What was read.
        kind: One of `KINDS`.
        likelihood: "auto", one of `LIKELIHOODS`, or noise of a known size: gaussian:25, poisson:30.
        binarize: One of `BINARIZE`.
        minimum: Fewer rows than this are too few.
        seed: Of bits that are drawn once.
        told: What columns of a table are, where the user knows better.
        conditional: Whether a table's label columns condition the model.

    Returns:
        The kind with its likelihood, and one sentence for each choice.

    Raises:
        DataError: E203 the values do not fit the likelihood, E207 too few rows, E208 all items are the same, E212 the
            axes fit no kind.
        UsageError: E103, an unknown choice or choices that exclude each other.

    Example:
        >>> from vaekit.data import read
        >>> found, reasons = detect(read("digits"))
        >>> found
        Images(1, 8, 8, levels=17)
    """
    likelihood = likelihood.replace("-", "_")
    _known("kind", kind, KINDS)
    if ":" in likelihood:
        known_noise(likelihood)
    else:
        _known("likelihood", likelihood, ("auto", *LIKELIHOODS, "poisson", "negative_binomial"))
    _known("binarize", binarize, BINARIZE)
    source = _as_asked(source, kind)
    if isinstance(source, TableSource):
        return detect_table(source, likelihood, minimum, told, conditional)
    if isinstance(source, TextSource):
        return detect_text(source, likelihood, minimum)
    if isinstance(source, PartsSource):
        return detect_parts(source, minimum, detect)
    if told:
        raise UsageError("E104", "types of columns are for tables, and this is none.")
    if isinstance(source, SparseSource) or kind == "counts":
        return _counts(source, likelihood, minimum)
    _enough(source, minimum)
    facts, reasons = measure(source.values), list[str]()
    if _is_images(source, facts, kind, likelihood, reasons):
        return _images(source, facts, likelihood, binarize, seed, reasons), reasons
    if binarize not in ("auto", "none"):
        raise UsageError("E103", f"--binarize {binarize} is for images, and these are vectors.")
    return _vectors(source, facts, likelihood, reasons), reasons


def build(source: Loaded, kind: Kind) -> Items:
    """Items of a kind, ready for training or evaluation.

    Args:
        source: What was read; notes on rounded values are added to it.
        kind: Found by `detect`, or a trained model's.

    Raises:
        DataError: The values do not fit the kind.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        raw = kind.store(source if isinstance(source, TableSource) else source.values)
        index = kind.index(source) if isinstance(kind, Table) and isinstance(source, TableSource) else None
    source.notes += [str(warning.message) for warning in said]
    if isinstance(source, TableSource):
        return Items(raw, kind, index)
    labels = source.labels
    if labels is not None and kind.labels:
        unknown = sorted(set(source.label_names) - set(kind.labels))
        if unknown:
            source.notes.append(f"labels that the model does not know count as none: {listed(unknown)}.")
        labels = same_classes(labels, source.label_names, kind.labels)
    return Items(raw, kind, as_tensor(labels))


def _as_asked(source: Loaded, kind: str) -> Loaded:
    """The source in the form that the kind which was asked for is made from."""
    if kind == "table" and isinstance(source, Source):
        return as_table(source)
    if isinstance(source, TableSource) and kind in ("vectors", "counts"):
        return as_vectors(source)
    wrong = (isinstance(source, SparseSource) and kind not in ("auto", "counts")) or (
        isinstance(source, TableSource) and kind == "images"
    )
    wrong |= isinstance(source, PartsSource) != (kind == "parts") and kind != "auto"
    wrong |= isinstance(source, TextSource) != (kind == "sequences") and kind != "auto"
    if wrong:
        raise UsageError("E103", f"--kind {kind} cannot be made of this source.", hint="--kind auto")
    return source


def _counts(source: Source | SparseSource, likelihood: str, minimum: int) -> tuple[Kind, list[str]]:
    enough(len(source), minimum, source.path)
    found, reasons = detect_counts(source)
    if likelihood != "auto":
        families: dict[str, Callable[[], Family]] = {
            "poisson": Poisson,
            "negative_binomial": lambda: NegativeBinomial(found.dim),
        }
        if likelihood not in families:
            raise UsageError(
                "E103", f"the {likelihood} likelihood does not go with counts.", hint="--likelihood auto"
            )
        found.family = families[likelihood]()
        reasons[-1] = f"{likelihood}, because that was asked for."
    return found, reasons


def _known(option: str, word: str, known: Iterable[str]) -> None:
    if word not in known:
        raise UsageError("E103", f"there is no {option} {word!r}; {nearest(word, known)}")


def _enough(source: Source, minimum: int) -> None:
    enough(len(source), minimum, source.path)
    if len(source) > 1 and len(constant_features(source.values)) == source.values[0].size:
        raise DataError(
            "E208", f"all {len(source)} items are the same: nothing can be learned.", where=source.path
        )


def _is_images(source: Source, facts: Facts, kind: str, likelihood: str, reasons: list[str]) -> bool:
    shape = source.values.shape
    if kind == "vectors":
        flat = f", each item of shape {shape[1:]} flattened" if len(shape) > 2 else ""
        reasons.append(f"vectors, because that was asked for{flat}.")
        return False
    if len(shape) == 2 and kind == "auto":
        reasons.append(f"vectors, because the array has 2 axes: {shape[0]} rows of {shape[1]} columns.")
        return False
    channels = _layout(source)[0]
    pixels = _like_pixels(facts) or is_noise(likelihood, False)
    if len(shape) == 3 and kind == "auto" and source.names is None and not pixels:
        message = f"values {facts.low:.4g}..{facts.high:.4g} in an array of shape {shape} are no pixels."
        hint = "--kind vectors   (each item flattened), --likelihood gaussian:SIGMA   (noise), or scale to [0, 1]"
        raise DataError("E212", message, where=source.path, hint=hint)
    because = "that was asked for" if kind == "images" else f"the array has {len(shape)} axes"
    because = "these are image files" if source.names is not None else because
    reasons.append(f"images, because {because}; {channels} channel{'s' if channels > 1 else ''}.")
    return True


def _like_pixels(facts: Facts) -> bool:
    return facts.low >= 0 and (facts.high <= 1 or (facts.whole and facts.high <= 65535))


def _layout(source: Source) -> tuple[int, int, int]:
    """(channels, height, width) of an array of images."""
    shape = source.values.shape[1:]
    if len(shape) == 2:
        found = (1, *shape)
    elif len(shape) == 3 and shape[2] in CHANNELS:
        found = (shape[2], *shape[:2])
    elif len(shape) == 3 and shape[0] in CHANNELS:
        found = shape
    else:
        raise _no_images(source)
    if min(found[1:]) < SMALLEST_SIDE:
        raise _no_images(source)
    return found


def _no_images(source: Source) -> DataError:
    shape = source.values.shape
    message = f"an array of shape {shape} holds no images: those are (N, H, W), (N, H, W, C) or (N, C, H, W)"
    message += f", at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels and at most {CHANNELS[-1]} channels."
    side = math.isqrt(shape[1])
    square = len(shape) == 2 and side * side == shape[1] and side >= SMALLEST_SIDE
    hint = (
        f"reshape(-1, {side}, {side}), or --kind vectors"
        if square
        else "--kind vectors   (each item flattened)"
    )
    return DataError("E212", message, where=source.path, hint=hint)


def _images(
    source: Source, facts: Facts, likelihood: str, binarize: str, seed: int, reasons: list[str]
) -> Images:
    channels, height, width = _layout(source)
    shares = frequencies(source.labels, len(source.label_names))
    if is_noise(likelihood, _like_pixels(facts)):
        if binarize not in ("auto", "none"):
            raise UsageError("E103", f"--binarize {binarize} makes bits, and noise has none.")
        family = asked(likelihood, Setting("images", channels * height * width, 0), reasons)
        white = _white(source, facts, family, reasons)
        labels = source.label_names
        return Images(channels, height, width, 0, family, "none", labels, shares, seed, white=white)
    levels = _levels(source, facts, reasons)
    chosen = _binarize(facts, channels, levels, likelihood, binarize, reasons)
    if chosen == "none" and likelihood != "auto":
        family = asked(likelihood, Setting("images", channels * height * width, levels), reasons)
    else:
        family = default_family(levels, chosen)
    if chosen == "none" and likelihood == "auto":
        reasons.append(_default_reason(levels))
    return Images(channels, height, width, levels, family, chosen, source.label_names, shares, seed)


def _white(source: Source, facts: Facts, family: Family, reasons: list[str]) -> float:
    """The value that stands for 1 in pictures with noise on them, which reach below 0 and above white."""
    if isinstance(family, Photons) and facts.low < 0:
        message = f"counts of photons are never negative, and the smallest value is {facts.low:.4g}."
        hint = "--likelihood poisson_gaussian   (learns the noise), or subtract no background"
        raise DataError("E203", message, where=source.path, hint=hint)
    white = noisy_white(source.values, facts.high)
    reasons.append(
        f"{white:g} counts as white, because the values go from {facts.low:.4g} to {facts.high:.4g}."
    )
    return white


def _levels(source: Source, facts: Facts, reasons: list[str]) -> int:
    """How many levels the pixels have; 0 for floats."""
    if facts.low < 0 or facts.high > 65535 or not (facts.whole or facts.high <= 1):
        hint = (
            "--likelihood gaussian   (or gaussian:SIGMA) if there is noise on them, or scale them to [0, 1]"
        )
        raise bad_scale(
            source.values, "images are whole numbers 0..65535 or floats in [0, 1]", source.path, hint
        )
    if facts.bits:
        return 2
    if not facts.whole:
        if facts.eight_bit:
            reasons.append("256 levels, because the floats are 8-bit values divided by 255.")
        return 256 if facts.eight_bit else 0
    if source.names is None and facts.high <= FEW_LEVELS:
        reasons.append(f"{facts.high + 1:.0f} levels, because the largest value is {facts.high:.0f}.")
        return int(facts.high) + 1
    bits = next(depth for depth in DEPTHS if facts.high < 2**depth)
    if bits > 8:
        reasons.append(f"{bits} bits, because the largest value is {facts.high:.0f}.")
    return 2**bits


def _binarize(
    facts: Facts, channels: int, levels: int, likelihood: str, binarize: str, reasons: list[str]
) -> Binarize:
    bits = likelihood in ("auto", "bernoulli")
    if binarize in ("dynamic", "threshold") and not bits:
        message = (
            f"--binarize {binarize} makes bits, and the likelihood of bits is bernoulli, not {likelihood}."
        )
        raise UsageError("E103", message, hint="--likelihood bernoulli, or --binarize none")
    if binarize != "auto":
        reasons.append(f"binarisation {binarize}, because that was asked for.")
        return binarize  # type: ignore[return-value]
    if not bits or levels == 2:
        return "none"
    if facts.two_valued and facts.low == 0:
        reasons.append(f"Bernoulli over bits, because every value is 0 or {facts.high:.0f}.")
        return "threshold"
    if likelihood == "bernoulli":
        reasons.append("Bernoulli with dynamic binarisation, because that likelihood was asked for.")
        return "dynamic"
    if (
        channels == 1
        and facts.dark + facts.bright >= NEARLY_BINARY
        and min(facts.dark, facts.bright) >= BOTH_ENDS
    ):
        share = f"{100 * (facts.dark + facts.bright):.0f} % of the values are below 10 % or above 90 % of the range"
        reasons.append(f"Bernoulli with dynamic binarisation, because {share}.")
        return "dynamic"
    return "none"


def _default_reason(levels: int) -> str:
    if levels == 0:
        return "Gaussian with one learned scale, because the pixels are floats without levels."
    if levels == 2:
        return "Bernoulli, because every value is 0 or 1."
    return f"discretised logistic, because the pixels have {levels} levels and are not nearly binary."


def _vectors(source: Source, facts: Facts, likelihood: str, reasons: list[str]) -> Vectors:
    values = source.values.reshape(len(source), -1)  # (N, D)
    columns, labels = values.shape[1], source.label_names
    constant = constant_features(values)
    if len(constant):
        reasons.append(
            f"{len(constant)} of {columns} columns are constant and tell nothing: {listed(constant.tolist())}."
        )
    shares = frequencies(source.labels, len(labels))
    if likelihood == "auto" and facts.bits:
        reasons.append("Bernoulli, because every value is 0 or 1.")
        return Vectors(columns, family=Bernoulli(), labels=labels, frequencies=shares)
    if likelihood in (*UNIT_LIKELIHOODS, "categorical"):
        family = _unscaled(values, facts, likelihood, reasons, source.path)
        return Vectors(columns, family=family, labels=labels, frequencies=shares)
    name = "gaussian" if likelihood == "auto" else likelihood
    mean, scale = moments(values)
    setting = Setting("vectors", columns, 0, scale.tolist())
    family = asked(name, setting, [] if likelihood == "auto" else reasons)
    form = "whole numbers" if facts.whole else "fractions"
    reasons.append(f"{name} with one scale per column, each standardised, because the values are {form}.")
    missing = _holes(values, reasons)
    return Vectors(columns, mean.tolist(), scale.tolist(), family, labels, shares, missing=missing)


def _holes(values: np.ndarray, reasons: list[str]) -> bool:
    """Whether some values are NaN: not observed."""
    empty = sum(int(np.isnan(part).sum()) for part in chunks(values)) if values.dtype.kind == "f" else 0
    if empty:
        share = f"{empty / values.size:.1%}"
        reasons.append(f"{empty} values ({share}) are NaN: not observed, and left out of the likelihood.")
    return empty > 0


def _unscaled(values: np.ndarray, facts: Facts, likelihood: str, reasons: list[str], where: str) -> Family:
    """A likelihood of the values as they are, held against their range."""
    spoken, hint = likelihood.replace("_", " ").title(), "--likelihood auto"
    if likelihood in UNIT_LIKELIHOODS and (facts.low < 0 or facts.high > 1):
        raise bad_scale(values, f"the {spoken} likelihood needs [0, 1]", where, hint)
    if likelihood == "categorical" and (facts.low < 0 or not facts.whole or facts.high >= MOST_CATEGORIES):
        needed = f"the Categorical likelihood needs whole numbers from 0 to below {MOST_CATEGORIES}"
        raise bad_scale(values, needed, where, hint)
    return asked(likelihood, Setting("vectors", values.shape[1], int(facts.high) + 1), reasons)
