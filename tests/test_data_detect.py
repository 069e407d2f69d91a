"""Detection: the kind, the likelihood and the reasons for every sort of data; items and the data card."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit import files
from vaekit.data import LIKELIHOODS, Images, Source, Vectors, build, card, detect, read
from vaekit.errors import DataError, UsageError
from vaekit.recipes import recipe


def found(values, **options):
    return detect(read(np.asarray(values)), **options)


def grey(seed: int, *shape: int, top: int = 255, dtype=np.uint8) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, top + 1, shape).astype(dtype)
    values.flat[0], values.flat[1] = 0, top
    return values


def nearly_binary(seed: int = 0) -> np.ndarray:
    """8-bit strokes like those of MNIST: dark, a bright tenth, and grey edges."""
    u = np.random.default_rng(seed).random((30, 12, 12))
    return np.select([u < 0.8, u < 0.9], [0, 128], 255).astype(np.uint8)


def family(kind) -> str:
    return type(kind.family).__name__


@pytest.mark.parametrize(
    ("values", "shape", "levels", "likely"),
    [
        (grey(0, 9, 8, 10), (1, 8, 10), 256, "DiscretizedLogistic"),
        (grey(0, 9, 8, 10, 3), (3, 8, 10), 256, "DiscretizedLogistic"),
        (grey(0, 9, 3, 8, 10), (3, 8, 10), 256, "DiscretizedLogistic"),
        (grey(0, 9, 8, 10, 1), (1, 8, 10), 256, "DiscretizedLogistic"),
        (grey(0, 9, 4, 8, 3), (3, 4, 8), 256, "DiscretizedLogistic"),
        (grey(0, 9, 8, 8, top=16), (1, 8, 8), 17, "DiscretizedLogistic"),
        (grey(0, 9, 8, 8, top=16).astype(float), (1, 8, 8), 17, "DiscretizedLogistic"),
        (grey(0, 9, 8, 8, top=65535, dtype=np.uint16), (1, 8, 8), 65536, "DiscretizedLogistic"),
        (grey(0, 9, 8, 8, top=4000, dtype=np.uint16), (1, 8, 8), 4096, "DiscretizedLogistic"),
        (grey(0, 9, 8, 8, dtype=np.int64), (1, 8, 8), 256, "DiscretizedLogistic"),
        (grey(0, 9, 8, 8, dtype=np.float32), (1, 8, 8), 256, "DiscretizedLogistic"),
        (grey(0, 9, 8, 8).astype(np.float32) / 255, (1, 8, 8), 256, "DiscretizedLogistic"),
        (np.random.default_rng(0).random((9, 8, 8)), (1, 8, 8), 0, "Gaussian"),
        (grey(0, 9, 8, 8) > 127, (1, 8, 8), 2, "Bernoulli"),
        ((grey(0, 9, 8, 8) > 127).astype(np.float32), (1, 8, 8), 2, "Bernoulli"),
    ],
)
def test_images_are_found(values, shape, levels, likely):
    kind, reasons = found(values)
    assert isinstance(kind, Images) and kind.shape == shape
    assert (kind.levels, family(kind), kind.binarize) == (levels, likely, "none")
    assert all(reason.endswith(".") for reason in reasons) and any("because" in reason for reason in reasons)
    if levels:
        assert getattr(kind.family, "levels", levels) == levels


@pytest.mark.parametrize("values", [nearly_binary(), 255 - nearly_binary(), nearly_binary() / 255])
def test_nearly_binary_grey_images_get_dynamic_bits(values):
    kind, reasons = found(values)
    assert family(kind) == "Bernoulli" and kind.binarize == "dynamic" and kind.levels == 256
    assert any("% of the values are below 10 % or above 90 % of the range" in reason for reason in reasons)
    assert found(values, seed=7)[0].seed == 7


def test_what_only_looks_nearly_binary_does_not():
    dark = grey(1, 30, 12, 12, top=20)
    dark[0, 0, 0] = 255  # a microscope's image: dark, and next to nothing bright
    assert found(dark)[0].binarize == "none"
    colour = np.repeat(nearly_binary()[..., None], 3, -1)
    assert found(colour)[0].binarize == "none"


def test_two_valued_images_are_thresholded():
    kind, reasons = found((grey(0, 9, 8, 8) > 127) * np.uint8(255))
    assert (kind.binarize, family(kind), kind.levels) == ("threshold", "Bernoulli", 256)
    assert "0 or 255" in " ".join(reasons)


@pytest.mark.parametrize(
    ("values", "likely", "standardised"),
    [
        (np.random.default_rng(0).normal(5, 2, (40, 3)), "Gaussian", True),
        (grey(0, 40, 3), "Gaussian", True),
        (np.random.default_rng(0).integers(0, 2, (40, 3)), "Bernoulli", False),
        (np.random.default_rng(0).integers(0, 2, (40, 3)).astype(bool), "Bernoulli", False),
        (np.random.default_rng(0).integers(0, 2, (40, 3)).astype(float), "Bernoulli", False),
        (np.random.default_rng(0).integers(-1, 2, (40, 3)), "Gaussian", True),
    ],
)
def test_vectors_are_found(values, likely, standardised):
    kind, reasons = found(values)
    assert isinstance(kind, Vectors) and kind.dim == 3
    assert family(kind) == likely and (kind.mean is not None) == standardised
    assert "vectors, because the array has 2 axes: 40 rows of 3 columns." in reasons
    if standardised:
        x = kind.encode(kind.store(values)).x
        torch.testing.assert_close(x.std(0, correction=0), torch.ones(3))


def test_constant_columns_are_said_and_keep_their_scale():
    values = np.random.default_rng(0).normal(size=(30, 3))
    values[:, 1] = 7
    kind, reasons = found(values)
    assert kind.scale[1] == 1 and "1 of 3 columns are constant and tell nothing: 1." in reasons


def test_image_files_are_images_whatever_their_values(tmp_path):
    for i in range(3):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / f"{i}.png")
    kind, reasons = detect(read(tmp_path))
    assert kind.levels == 256 and "these are image files" in reasons[0]


def test_the_kind_may_be_asked_for():
    values = grey(0, 20, 4, 5)
    kind, reasons = found(values, kind="vectors")
    assert isinstance(kind, Vectors) and kind.dim == 20
    assert kind.store(values).shape == (20, 20) and "flattened" in reasons[0]
    with pytest.raises(DataError) as error:
        found(grey(0, 20, 784), kind="images")
    assert error.value.code == "E212" and "reshape(-1, 28, 28)" in error.value.hint
    with pytest.raises(DataError) as error:
        found(values - 200.0, kind="images")
    assert error.value.code == "E203"


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=(9, 8, 8)),
        -grey(0, 9, 8, 8).astype(int),
        grey(0, 9, 8, 8).astype(int) * 300,
        grey(0, 9, 3, 8),
        grey(0, 9, 8, 3),
        grey(0, 9, 5, 8, 8),
        grey(0, 9, 20, 105, 105)[:, :, :20, :20],
    ],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_arrays_that_are_no_images_are_refused_with_advice(values):
    with pytest.raises(DataError) as error:
        found(values)
    assert error.value.code == "E212" and "--kind vectors" in error.value.hint
    assert isinstance(found(values, kind="vectors")[0], Vectors)


@pytest.mark.parametrize("word", sorted(LIKELIHOODS))
@pytest.mark.parametrize("form", ["images", "vectors"])
def test_every_likelihood_by_name_scores_the_data_or_is_refused(word, form):
    values = (
        grey(0, 20, 6, 6, top=7) if form == "images" else np.random.default_rng(0).integers(0, 2, (20, 6))
    )
    only = {"categorical": "vectors", "discretized_logistic": "images", "logistic_mixture": "images"}
    only["poisson_gaussian"] = "images"
    if only.get(word, form) != form:
        with pytest.raises(UsageError) as error:
            found(values, likelihood=word)
        assert error.value.code == "E103"
        return
    kind, reasons = found(values, likelihood=word)
    name = family(kind).lower().replace("discretizedlogisticmixture", "logisticmixture")
    assert name == word.replace("poisson_", "").replace(
        "_", ""
    )  # a Gaussian whose scale grows with the signal
    x = kind.encode(kind.store(values)).x
    params = torch.zeros(len(x), kind.family.size(kind.shape[0]), *kind.shape[1:])
    assert kind.family(params).log_prob(x).isfinite().all()
    assert any("asked for" in reason for reason in reasons)
    recipe(kind)


def test_likelihoods_by_name_with_a_hyphen():
    assert (
        family(found(np.random.default_rng(0).normal(size=(30, 2)), likelihood="student-t")[0]) == "StudentT"
    )


def test_bits_of_grey_images():
    values = grey(0, 30, 8, 8)
    kind, _ = found(values, likelihood="bernoulli")
    assert kind.binarize == "dynamic"
    kind, reasons = found(values, likelihood="bernoulli", binarize="none")
    assert (
        kind.binarize == "none"
        and family(kind) == "Bernoulli"
        and "no likelihood of the images" in reasons[-1]
    )
    for word in ("dynamic", "threshold"):
        kind, _ = found(values, binarize=word)
        assert kind.binarize == word and family(kind) == "Bernoulli"
    kind, _ = found(nearly_binary(), binarize="none")
    assert kind.binarize == "none" and family(kind) == "DiscretizedLogistic"
    kind, _ = found(nearly_binary(), likelihood="gaussian")
    assert kind.binarize == "none" and family(kind) == "Gaussian"


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "imagse"},
        {"likelihood": "bernouli"},
        {"binarize": "dynamical"},
        {"binarize": "dynamic", "likelihood": "gaussian"},
    ],
)
def test_unknown_choices_and_contradictions(options):
    with pytest.raises(UsageError) as error:
        found(grey(0, 9, 8, 8), **options)
    assert error.value.code == "E103"
    if len(options) == 1:
        assert "did you mean" in str(error.value)


def test_choices_that_do_not_go_with_the_data():
    with pytest.raises(UsageError):
        found(grey(0, 9, 5), binarize="dynamic")
    with pytest.raises(UsageError):
        found(np.random.default_rng(0).random((9, 8, 8)), likelihood="discretized_logistic")


@pytest.mark.parametrize(
    ("values", "word", "text"),
    [
        (
            grey(0, 30, 4),
            "bernoulli",
            "values look like 0..255 (min 0, max 255, whole numbers) but the Bernoulli",
        ),
        (
            np.random.default_rng(0).normal(size=(30, 4)),
            "continuous_bernoulli",
            "fractions) but the Continuous",
        ),
        (np.random.default_rng(0).random((30, 4)), "categorical", "whole numbers from 0"),
    ],
)
def test_scales_that_contradict_the_likelihood(values, word, text):
    with pytest.raises(DataError) as error:
        found(values, likelihood=word)
    assert error.value.code == "E203" and text in str(error.value) and error.value.hint == "--likelihood auto"


def test_too_few_and_all_the_same():
    for count, minimum in [(1, 2), (19, 20)]:
        with pytest.raises(DataError, match=f"there are {count} rows; at least {minimum}") as error:
            found(np.random.default_rng(0).random((count, 3)), minimum=minimum)
        assert error.value.code == "E207"
    found(np.random.default_rng(0).random((20, 3)), minimum=20)
    for values in (np.ones((30, 3)), np.tile(grey(0, 1, 8, 8), (30, 1, 1))):
        with pytest.raises(DataError) as error:
            found(values)
        assert error.value.code == "E208"


def labelled_source() -> Source:
    return Source(
        grey(0, 6, 8, 8), np.array([0, 1, 1, -1, 1, 0]), ("cat", "dog"), path="/home/me/secret/pets.npz"
    )


def test_classes_and_their_shares_are_kept():
    kind, _ = detect(labelled_source())
    assert kind.labels == ("cat", "dog") and kind.frequencies == pytest.approx((0.4, 0.6))
    batch = build(labelled_source(), kind).batch(torch.arange(6))
    assert batch.y.tolist() == [0, 1, 1, -1, 1, 0] and batch.c is None


def test_items_of_another_source_get_the_models_classes():
    kind, _ = detect(labelled_source())
    other = Source(grey(1, 3, 8, 8), np.array([0, 1, 2]), ("bird", "cat", "dog"))
    assert build(other, kind).labels.tolist() == [-1, 0, 1]
    assert "labels that the model does not know count as none: bird." in other.notes
    unlabelled = Images(1, 8, 8)
    assert build(other, unlabelled).labels.tolist() == [0, 1, 2]
    with pytest.raises(DataError):
        build(Source(grey(1, 3, 9, 9)), kind)


def test_rounding_is_noted_by_build():
    source = Source(np.random.default_rng(0).random((4, 8, 8)))
    items = build(source, Images(1, 8, 8))
    assert items.raw.dtype == torch.uint8 and "were rounded" in source.notes[0]


def test_the_card_is_json_without_paths_or_data(tmp_path):
    source = labelled_source()
    source.values[5] = source.values[2]
    source.values[:, 3, 3] = 9
    kind, reasons = detect(source)
    made = card(source, kind, build(source, kind), reasons)
    assert files.read_json(files.write_json(tmp_path / "card.json", made)) == made
    assert made["count"] == 6 and made["shape"] == [1, 8, 8] and made["dtype"] == "uint8"
    assert made["range"] == [0, 255] and made["mean"] == pytest.approx(source.values.mean())
    assert made["zeros"] == pytest.approx((source.values == 0).mean())
    assert made["classes"] == {"cat": 2, "dog": 3} and made["unlabelled"] == 1
    assert made["duplicates"] == pytest.approx(1 / 6)
    assert made["constant_features"] == {"count": 1, "first": [27]}
    assert made["fingerprint"] == source.fingerprint() and made["reasons"] == reasons
    assert made["source"] == "pets.npz" and "/home" not in json.dumps(made)


def test_the_card_of_vectors():
    source = read(np.random.default_rng(0).normal(size=(50, 3)))
    kind, reasons = detect(source)
    made = card(source, kind, build(source, kind), reasons)
    assert made["kind"] == "vectors" and made["likelihood"] == "Gaussian" and made["duplicates"] == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.float32, bool])
def test_facts_agree_with_numpy(dtype, monkeypatch):
    from vaekit.data.facts import measure

    monkeypatch.setattr("vaekit.data.checks.CHUNK_BYTES", 100)
    values = np.random.default_rng(0).integers(0, 2 if dtype is bool else 100, (40, 7)).astype(dtype)
    facts = measure(values)
    low, high = float(values.min()), float(values.max())
    assert (facts.low, facts.high, facts.whole) == (low, high, True)
    assert facts.mean == pytest.approx(values.mean()) and facts.zeros == pytest.approx((values == 0).mean())
    wide = values.astype(float)
    assert facts.dark == pytest.approx((wide < low + (high - low) / 10).mean())
    assert facts.bright == pytest.approx((wide > high - (high - low) / 10).mean())
    assert facts.two_valued == (dtype is bool)


@pytest.mark.skipif("VAEKIT_DATA" not in os.environ, reason="VAEKIT_DATA does not name a folder of data sets")
def test_real_data_are_what_they_are_known_to_be():
    root = Path(os.environ.get("VAEKIT_DATA", ""))
    expected = {
        "mnist/t10k-images-idx3-ubyte.gz": ("Bernoulli", "dynamic", (1, 28, 28)),
        "fashion-mnist/t10k-images-idx3-ubyte.gz": ("DiscretizedLogistic", "none", (1, 28, 28)),
        "frey-faces/freyfaces.npz": ("DiscretizedLogistic", "none", (1, 28, 20)),
        "nuclei-microscopy/nuclei_256_test.npz": ("DiscretizedLogistic", "none", (1, 256, 256)),
        "pneumoniamnist/pneumoniamnist.npz": ("DiscretizedLogistic", "none", (1, 28, 28)),
        "adbench/32_shuttle.npz": ("Gaussian", "none", (9,)),
    }
    for name, (likely, bits, shape) in expected.items():
        if (root / name).exists():
            kind, _ = detect(read(root / name))
            assert (family(kind), getattr(kind, "binarize", "none"), kind.shape) == (likely, bits, shape), (
                name
            )
