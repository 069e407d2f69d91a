"""Augmentation: what new items are made of, that labels are kept, for every kind, and from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from commands import call
from scipy import sparse, stats
from torch import nn

import vaekit
from vaekit import VAE, files, presets
from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Images, Source, Vectors, detect, read
from vaekit.distributions import Fixed, Gaussian, Noise
from vaekit.errors import CODES, DataError, UsageError
from vaekit.operations import embed
from vaekit.operations.augment import carried, jitter, mix, prior_codes, transfer
from vaekit.priors import StandardNormal
from vaekit.uses.augmentation import Augmented, Choice, augment

QUICK: dict[str, Any] = dict(
    steps=6, batch_size=16, latent=2, threads=1, evaluate_every=3, patience=0, quiet=True
)


def linear(encoder: Any, decoder: Any, std: float = 0.5) -> VAE:
    """z = E x and f(z) = W z, in single numbers that are known."""
    down, up = (torch.as_tensor(np.asarray(m), dtype=torch.float32) for m in (encoder, decoder))
    first, last = nn.Linear(down.shape[1], down.shape[0]), nn.Linear(up.shape[1], up.shape[0])
    with torch.no_grad():
        first.weight.copy_(down), last.weight.copy_(up), first.bias.zero_(), last.bias.fill_(0.25)
    q = Conditional(first, Gaussian(Fixed(std)))
    return VAE(
        nn.Identity(),
        Variational(q, StandardNormal(len(down))),
        Conditional(last, Gaussian(Fixed(0.1))),
    ).eval()


# ---------------------------------------------------------------------- codes


def test_jitter_is_the_posterior_made_wider() -> None:
    mean, std = torch.tensor([[3.0, -1.0]]), torch.tensor([[0.5, 2.0]])
    z = jitter(mean, std, Noise(0, "test"), copies=20_000, spread=1.5).numpy()
    for d in range(2):
        found = stats.kstest(z[:, d], stats.norm(float(mean[0, d]), 1.5 * float(std[0, d])).cdf)
        assert found.pvalue > 1e-3


def test_a_mix_lies_evenly_on_the_line_to_the_partner() -> None:
    start, partners = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 8.0]]).expand(20_000, -1)
    z = mix(start, partners, Noise(0, "test"), spread=0.5).numpy()
    share = (z[:, 0] - 1) / 2
    np.testing.assert_allclose((z[:, 1] - 2) / 6, share, atol=1e-5)  # on the line
    assert stats.kstest(share, stats.uniform(0, 0.5).cdf).pvalue > 1e-3


def test_a_transfer_moves_as_two_others_differ() -> None:
    start, ends, starts = torch.randn(2, 3), torch.randn(8, 3), torch.randn(8, 3)
    wanted = start[[0, 0, 0, 0, 1, 1, 1, 1]] + 0.25 * (ends - starts)
    torch.testing.assert_close(transfer(start, ends, starts, 0.25), wanted)


def test_codes_of_the_prior_are_those_of_the_condition() -> None:
    prior = Conditional(nn.Linear(2, 2), Gaussian(Fixed(0.1)))
    with torch.no_grad():
        prior.net.weight.copy_(torch.tensor([[5.0, 0.0], [0.0, -5.0]]))  # type: ignore[operator, union-attr]
        prior.net.bias.zero_()  # type: ignore[operator, union-attr]
    model = linear(np.eye(2), np.eye(2))
    model.bottleneck = Variational(model.bottleneck.posterior, prior)  # type: ignore[arg-type]
    z = prior_codes(model, 4_000, torch.eye(2).repeat(2_000, 1), Noise(0, "test"))
    np.testing.assert_allclose(z.view(-1, 2, 2).mean(0).numpy(), [[5, 0], [0, -5]], atol=0.01)


def test_detail_is_kept_as_the_decoder_moves() -> None:
    rng = np.random.default_rng(0)
    encoder, decoder = rng.normal(size=(2, 5)), rng.normal(size=(5, 2))
    model, x = linear(encoder, decoder), torch.randn(7, 5)
    z, end = model.encode(x), torch.randn(7, 2)
    wanted = x + (end - z) @ torch.tensor(decoder, dtype=torch.float32).T
    torch.testing.assert_close(carried(model, x, z, end, z), wanted)
    seen = torch.arange(5).expand(7, 5) != 3  # where nothing was observed, the decoder alone speaks
    found = carried(model, x, z, end, z, mask=seen)
    torch.testing.assert_close(found[:, 3], model.decode(end).mean[:, 3])
    torch.testing.assert_close(found[:, :3], wanted[:, :3])


# ---------------------------------------------------------------------- every kind

RNG = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {
        "age": RNG.integers(18, 80, 60),
        "income": RNG.lognormal(3, 1, 60).round(2),
        "city": RNG.choice(["Bern", "Basel", "Chur"], 60),
        "member": ["yes", "no"] * 30,
    }
)
LABELS = np.array(["a", "b", "c"] * 20)
SOURCES: dict[str, Callable[[], Any]] = {
    "images": lambda: read(RNG.integers(0, 256, (60, 6, 6)).astype(np.uint8), labels=LABELS),
    "colours": lambda: read(RNG.integers(0, 256, (60, 6, 6, 3)).astype(np.uint8), labels=LABELS),
    "vectors": lambda: read(RNG.normal(50, 9, (60, 4)), labels=LABELS),
    "holes": lambda: read(np.where(RNG.random((60, 4)) < 0.2, np.nan, RNG.normal(size=(60, 4))), labels=LABELS),
    "counts": lambda: read(sparse.csr_array(RNG.poisson(2.0, (60, 5))), labels=LABELS),
    "sequences": lambda: read_lines(),
    "table": lambda: read(FRAME, labels="member"),
}  # fmt: skip


def read_lines() -> Any:
    from vaekit.data import TextSource

    words = ["".join(RNG.choice(list("abn"), 4)) for _ in range(60)]
    return TextSource(words, np.arange(60) % 3, ("a", "b", "c"))


def untrained(source: Any, preset: str = "vae", **options: Any) -> tuple[VAE, Any]:
    """A model of a kind whose weights are drawn; what labels and rows do, does not depend on them."""
    conditional = preset == "conditional_vae"
    kind = detect(source, conditional=conditional)[0]
    kind.conditional = conditional
    with Noise(0, "weights").torch():
        return getattr(presets, preset)(kind, latent=3, **options).model.eval(), kind


def values_of(x: Any) -> np.ndarray:
    return x.to_numpy() if isinstance(x, pd.DataFrame) else np.array(x)


@pytest.mark.parametrize("preset", ["vae", "conditional_vae"])
@pytest.mark.parametrize("name", list(SOURCES))
def test_the_old_items_come_first_and_labels_are_carried_along(name: str, preset: str) -> None:
    if name == "sequences" and preset != "vae":
        pytest.skip("sequences take no condition here")
    source = SOURCES[name]()
    model, kind = untrained(source, preset)
    found = augment(model, kind, source, Choice(factor=3))
    assert isinstance(found, Augmented) and len(found.x) == 180
    if name == "table":
        pd.testing.assert_frame_equal(found.x.iloc[:60], FRAME, check_dtype=False)
        assert found.x["member"].tolist() == FRAME["member"].tolist() * 3 and found.y is None
        assert set(found.x["city"]) <= {"Bern", "Basel", "Chur"}
    else:
        old = source.values if name != "counts" else source.values[torch.arange(60)].numpy()
        np.testing.assert_array_equal(values_of(found.x)[:60], values_of(old))
        assert found.y is not None and found.y.tolist() == LABELS.tolist() * 3
    new = values_of(found.x)[60:]
    changed = [
        not np.array_equal(a, b) for a, b in zip(new, values_of(found.x)[np.arange(120) % 60], strict=True)
    ]
    assert np.mean(changed) > 0.5
    if new.dtype.kind == "f":
        assert np.isfinite(new).all()  # what was not observed is filled in


@pytest.mark.parametrize("way", ["jitter", "sample"])
@pytest.mark.parametrize("name", ["images", "vectors", "counts", "table"])
def test_a_new_item_depends_on_its_own_and_the_seed_alone(name: str, way: str) -> None:
    source = SOURCES[name]()
    model, kind = untrained(source, "conditional_vae")
    whole, again, other = (
        values_of(augment(model, kind, source, Choice(4, way, seed=seed)).x) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(whole, again)
    assert not np.array_equal(whole[60:], other[60:])
    part = values_of(augment(model, kind, source.rows(20, 25), Choice(4, way, seed=1)).x)
    wanted = whole.reshape(4, 60, *whole.shape[1:])[:, 20:25].reshape(part.shape)
    if part.dtype.kind == "O":
        assert (part == wanted).mean() > 0.99  # a float32 in the last place may move a rounded cell
    else:
        np.testing.assert_allclose(part.astype(float), wanted.astype(float), rtol=1e-4, atol=1)


def test_copies_of_an_item_differ() -> None:
    source = SOURCES["vectors"]()
    model, kind = untrained(source)
    found = values_of(augment(model, kind, source, Choice(5, "jitter")).x).reshape(5, 60, 4)
    assert len(np.unique(found[:, 0].round(6), axis=0)) == 5


def test_a_mix_stays_within_its_label() -> None:
    rng, y = np.random.default_rng(0), np.repeat(["near", "far"], 30)
    x = rng.normal(size=(60, 2)) + np.where(y == "far", 100, 0)[:, None]
    kind = Vectors(2, labels=("far", "near"))
    model = linear(np.eye(2), np.eye(2))
    for detail in (True, False):
        found = augment(model, kind, read(x, labels=y), Choice(6, "mix", detail=detail))
        far = found.x.mean(1) > 50
        assert found.y is not None and (far == (found.y == "far")).all()
    # with the identity as a model a mix is a point on the segment to another item of the label, never to itself
    found = augment(model, kind, read(x[:2], labels=["near"] * 2), Choice(101, "mix")).x
    share = (found - x[0]) @ (x[1] - x[0]) / ((x[1] - x[0]) ** 2).sum()
    np.testing.assert_allclose(found, x[0] + share[:, None] * (x[1] - x[0]), atol=1e-5)
    assert (
        stats.kstest(share[2::2], "uniform").pvalue > 1e-3
        and stats.kstest(share[3::2], "uniform").pvalue > 1e-3
    )


def test_a_transfer_varies_as_its_label_does() -> None:
    rng, y = np.random.default_rng(0), np.repeat(["round", "long"], 40)
    x = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) * [6, 0.5]])
    model = linear(np.eye(2), np.eye(2))
    found = augment(model, Vectors(2), read(x, labels=y), Choice(201, spread=0.5)).x[80:].reshape(200, 80, 2)
    for rows in (slice(0, 40), slice(40, 80)):  # of pairs that are never the same item: 2 s² n / (n − 1) Σ
        moved = (found - x)[:, rows].reshape(-1, 2)
        np.testing.assert_allclose(
            np.cov(moved.T), 0.5 * np.cov(x[rows].T), atol=0.05 * np.cov(x[rows].T).max()
        )
        np.testing.assert_allclose(moved.mean(0), 0, atol=0.15)
    assert len(np.unique(found[:, 0].round(6), axis=0)) > 150


def test_jitter_of_a_linear_model_is_what_its_formula_says() -> None:
    rng = np.random.default_rng(0)
    encoder, decoder = rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
    x = rng.normal(size=(2, 3))
    found = augment(linear(encoder, decoder, 0.5), Vectors(3), read(x), Choice(4_001, spread=2.0))
    new = found.x[2:].reshape(4_000, 2, 3)
    np.testing.assert_allclose(new.mean(0), x, atol=0.12)
    cov = np.cov(new[:, 0].T)
    np.testing.assert_allclose(cov, decoder @ decoder.T, rtol=0.15, atol=0.05)  # (2 · 0.5)² W Wᵀ
    assert found.y is None


def test_a_factor_of_one_changes_nothing() -> None:
    source = SOURCES["images"]()
    model, kind = untrained(source)
    found = augment(model, kind, source, Choice(1))
    np.testing.assert_array_equal(found.x, source.values)


def test_binarised_images_keep_their_grey_levels() -> None:
    kind = Images(1, 6, 6, binarize="dynamic")
    model = presets.vae(kind, latent=2).model.eval()
    source = SOURCES["images"]()
    found = augment(model, kind, source, Choice(2))
    np.testing.assert_array_equal(found.x[:60], source.values)


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("choice", "preset", "code", "words"),
    [
        (Choice(0), "vae", "E103", "factor = 0"),
        (Choice(2, "jiter"), "vae", "E103", "did you mean jitter"),
        (Choice(2, spread=-1.0), "vae", "E103", "spread"),
        (Choice(2, spread=float("nan")), "vae", "E103", "spread"),
        (Choice(2, "sample"), "vae", "E106", "conditional_vae"),
        (Choice(2, "jitter"), "autoencoder", "E106", "single code"),
        (Choice(2, "mix"), "vq_vae", "E106", "codebook"),
    ],
)
def test_impossible_choices_are_named(choice: Choice, preset: str, code: str, words: str) -> None:
    source = SOURCES["images"]()
    kind = detect(source)[0]
    model = getattr(presets, preset)(kind).model.eval()
    with pytest.raises(UsageError) as error:
        augment(model, kind, source, choice)
    assert error.value.code == code and words in str(error.value)


def test_detail_is_refused_where_there_is_none() -> None:
    source = SOURCES["counts"]()
    model, kind = untrained(source)
    with pytest.raises(UsageError, match="no detail"):
        augment(model, kind, source, Choice(2, detail=True))


@pytest.mark.parametrize(
    ("labels", "preset", "words"),
    [
        (["a", "b", "x"] * 20, "conditional_vae", "no label 'x'"),
        (None, "conditional_vae", "the items have none"),
        (["a"] * 59 + ["b"], "vae", "one item of label 'b', and transfer needs two"),
        (["a", "b", ""] * 20, "vae", "have no label"),
    ],
)
def test_labels_that_cannot_be_used_are_named(labels: Any, preset: str, words: str) -> None:
    model, kind = untrained(SOURCES["images"](), preset)
    items = read(SOURCES["images"]().values, labels=labels)
    with pytest.raises(DataError, match=words) as error:
        augment(model, kind, items, Choice(2))
    assert error.value.code == "E214" and error.value.hint


def test_items_of_another_kind_are_named() -> None:
    model, kind = untrained(SOURCES["images"]())
    for wrong in (np.zeros((4, 7, 7), np.uint8), np.zeros((4, 3))):
        with pytest.raises(DataError) as error:
            augment(model, kind, Source(wrong), Choice(2))
        assert error.value.code == "E212"
    model, kind = untrained(SOURCES["table"]())
    with pytest.raises(DataError) as error:
        augment(model, kind, SOURCES["images"](), Choice(2))
    assert error.value.code == "E108"


# ---------------------------------------------------------------------- the run, and the command line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        for where in ("vaekit.fitting", "vaekit.launch"):
            patch.setattr(f"{where}.write_report", lambda path: files.write(Path(path) / "report.html", ""))
        place = tmp_path_factory.mktemp("augment")
        patch.chdir(place)
        vaekit.fit("digits", out="d", **QUICK)
        FRAME.to_csv("people.csv", index=False)
        vaekit.fit("people.csv", labels="member", preset="conditional_vae", out="p", **QUICK)
        yield place


def test_a_run_augments_arrays(place: Path) -> None:
    images, labels = vaekit.datasets.digits()
    run = vaekit.open(place / "d")
    x, y = run.augment(images[:30], labels[:30], factor=2)
    assert x.shape == (60, 8, 8) and x.dtype == np.uint8 and y.tolist() == labels[:30].tolist() * 2
    kind = run.kind
    z = embed(run.model, kind.encode(kind.store(x)).x)[0]
    assert z.shape == (60, 2)


@pytest.mark.parametrize("out", ["a.npz", "folder", "a.csv"])
def test_what_is_written_is_read_again_with_its_labels(place: Path, out: str) -> None:
    done = call("augment", "d", "digits", "--factor", 2, "--out", out, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"n": 3594, "old": 1797, "labels": 10, "out": out}
    if out == "a.csv":
        assert pd.read_csv(out)["label"].value_counts().min() > 300
        return
    again, first = read(out, labels="labels" if out == "a.npz" else "folders"), read("digits")
    assert len(again) == 3594 and again.label_names == first.label_names
    assert np.bincount(again.labels).tolist() == (2 * np.bincount(first.labels)).tolist()
    if out == "a.npz":
        np.testing.assert_array_equal(again.values[:1797], first.values)


def test_a_table_is_written_as_a_table(place: Path) -> None:
    done = call("augment", "p", "people.csv", "--factor", 3, "--way", "sample", "--out", "more.csv", "--json")
    assert done.code == 0, done.err
    frame = pd.read_csv("more.csv")
    assert list(frame) == list(FRAME) and len(frame) == 180
    assert frame["member"].tolist() == FRAME["member"].tolist() * 3
    pd.testing.assert_frame_equal(frame.iloc[:60], FRAME)


def test_a_picture_shows_new_items_below_the_old(place: Path) -> None:
    np.savez("few.npz", images=vaekit.datasets.digits()[0][:4], labels=[0, 0, 1, 1])
    done = call("augment", "d", "few.npz", "--factor", 3, "--out", "few.png")
    assert done.code == 0 and "no place for the labels" in done.err
    assert "nothing new was made" in call("augment", "d", "few.npz", "--factor", 1, "--out", "few1.npz").err


def test_labels_of_another_length_are_not_passed_over(place: Path) -> None:
    np.savez("short.npz", images=vaekit.datasets.digits()[0][:8], labels=[0, 0, 1, 1])
    done = call("augment", "d", "short.npz", "--out", "s.npz")
    assert (
        done.code == 3
        and "labels has 4 entries and there are 8 items" in done.err
        and not Path("s.npz").exists()
    )


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (("d", "digits", "--factor", "0", "--out", "b.npz"), "E103", 2),
        (("d", "digits", "--out", "b.npy"), "E107", 2),
        (("d", "digits", "--way", "sample", "--out", "b.npz"), "E106", 2),
        (("d", "people.csv", "--out", "b.npz"), "E108", 3),
        (("d", "nowhere.npz", "--out", "b.npz"), "E201", 3),
        (("d", "digits", "--out", "d"), "E107", 2),
    ],
)
def test_mistakes_are_named(place: Path, words: tuple[str, ...], code: str, exit_code: int) -> None:
    done = call("augment", *words)
    assert done.code == exit_code and done.err.startswith(f"{code} {CODES[code]}: "), done.err
    assert not Path("b.npz").exists()
