"""What the explorer's page is told: points, dimensions, maps, contours; held against closed forms, for every kind."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import TensorDataset

from vaekit.as_trained import AsTrained
from vaekit.config import Config
from vaekit.distributions import Noise
from vaekit.errors import DataError, UsageError
from vaekit.evaluation.likelihood import scores as evaluated
from vaekit.explorer import maps, planes
from vaekit.explorer.answers import Answers, Way
from vaekit.explorer.arrays import Arrays, array_at
from vaekit.explorer.density import density
from vaekit.explorer.facts import Explored, explored, with_map
from vaekit.explorer.points import bounded, points, spread_out
from vaekit.explorer.subject import Subject
from vaekit.operations import log_likelihood, packed
from vaekit.prepare import compose, prepare

RNG = np.random.default_rng(5)


# ---------------------------------------------------------------------- runs without training


def pictures(n: int = 40) -> np.ndarray:
    return RNG.integers(0, 256, size=(n, 8, 8)).astype(np.uint8)


def frame(n: int = 60) -> pd.DataFrame:
    size = RNG.normal(50, 10, n).round(1)
    holes = np.where(RNG.random(n) < 0.3, np.nan, RNG.normal(size=n).round(2))
    when = pd.to_datetime("2020-01-01") + pd.to_timedelta(RNG.integers(0, 700, n), unit="D")
    return pd.DataFrame(
        {
            "size": size,
            "count": RNG.integers(0, 9, n),
            "weight": holes,
            "sex": RNG.choice(["f", "m"], n),
            "when": when,
        }
    )


def awkward(n: int = 60) -> pd.DataFrame:
    """Names with blanks around them, a point mass that six digits do not tell, and little after many digits."""
    return pd.DataFrame(
        {
            "work": RNG.choice([" Private", "Self emp ", "none"], n),
            "third": np.where(RNG.random(n) < 0.6, 1 / 3, RNG.normal(size=n)),
            "narrow": 1234.5678 + 1e-3 * RNG.normal(size=n),
        }
    )


SOURCES: dict[str, Any] = {
    "images": lambda: TensorDataset(torch.from_numpy(pictures()), torch.arange(40) % 3),
    "vectors": lambda: RNG.normal(size=(60, 5)) * [1, 2, 3, 4, 5] + 7,
    "holes": lambda: np.where(RNG.random((60, 4)) < 0.2, np.nan, RNG.normal(size=(60, 4))),
    "table": frame,
    "counts": lambda: np.hstack([RNG.poisson(np.exp(RNG.normal(size=(80, 1)) + 1), (80, 12))]),
    "text": lambda: ["".join(RNG.choice(list("abcd"), RNG.integers(2, 9))) for _ in range(60)],
    "greys": lambda: RNG.random((40, 8, 8)).astype(np.float32),
    "blanks": lambda: [" a b", "a b ", "  b"] * 20,
    "awkward": awkward,
    "parts": lambda: {"view": pictures(60), "class": np.arange(60) % 3},
}


def made(source: str, preset: str = "vae", **options: Any) -> tuple[Subject, AsTrained]:
    """A model that was never trained, as a run, and its data."""
    config = Config(preset=preset, source="array", **options)
    data = prepare(SOURCES[source](), config)
    model = compose(data.kind, config, 10).model.eval()
    with torch.no_grad(), Noise(1, "moved").torch():  # networks begin where every code is decoded alike
        for values in model.parameters():
            values += 0.02 * torch.randn(values.shape)
    about = {"preset": preset, "objective": "none", "metrics": {"elbo": -1.0}}
    return Subject(model, data.kind, Path("nowhere"), about), AsTrained(data.train, data.heldout)


def arrays_of(found: Explored) -> Any:
    return lambda told: array_at(told, found.content)


CASES = {
    "images": ("images", "vae", {}),
    "conditional": ("images", "conditional_vae", {}),
    "autoencoder": ("images", "autoencoder", {}),
    "codebook": ("images", "vq_vae", {}),
    "hierarchical": ("images", "ladder_vae", {}),
    "sphere": ("vectors", "hyperspherical_vae", {}),
    "vectors": ("vectors", "vae", {}),
    "holes": ("holes", "vae", {}),
    "table": ("table", "vae", {}),
    "given": ("table", "conditional_vae", {"labels": "sex"}),
    "counts": ("counts", "vae", {"kind": "counts"}),
    "text": ("text", "vae", {}),
    "parts": ("parts", "multimodal_poe", {}),
    "joint": ("images", "joint_vae", {}),
    "gumbel": ("images", "gumbel_vae", {}),
    "residual": ("vectors", "rvq_vae", {}),
    "semi": ("images", "semi_supervised_vae", {}),
    "mixture": ("vectors", "mixture_prior_vae", {}),
    "moe": ("parts", "multimodal_moe", {}),
    "stack": ("images", "top_down_vae", {}),
    "pixels": ("images", "pixel_vae", {}),
    "one": ("vectors", "vae", {"latent": 1}),
    "bits": ("images", "vae", {"binarize": "dynamic"}),
    "greys": ("greys", "vae", {}),
    "noisy": ("greys", "vae", {"likelihood": "gaussian:0.3"}),
    "blanks": ("blanks", "vae", {}),
    "awkward": ("awkward", "vae", {}),
}


@pytest.fixture(scope="module")
def runs() -> Any:
    known: dict[str, SimpleNamespace] = {}

    def get(name: str) -> SimpleNamespace:
        if name not in known:
            source, preset, options = CASES[name]
            subject, data = made(source, preset, **options)
            found = explored(subject, divided=data)
            known[name] = SimpleNamespace(
                subject=subject, data=data, found=found, facts=json.loads(found.json), at=arrays_of(found),
                answers=Answers(subject, found),
            )  # fmt: skip
        return known[name]

    return get


# ---------------------------------------------------------------------- every kind


@pytest.mark.parametrize("name", CASES)
def test_every_kind_is_told_in_whole(runs: Any, name: str) -> None:
    run = runs(name)
    facts, count, width = run.facts, run.facts["points"]["count"], run.subject.width
    assert count == len(run.data.seen) + len(run.data.heldout)
    assert run.at(facts["points"]["codes"]).shape == (count, width)
    assert np.isfinite(run.at(facts["points"]["elbo"])).all()
    # where the KL of mixtures has no closed form, log q − log p at the centre stands for it
    assert name in ("moe", "mixture") or (run.at(facts["points"]["kl"]) >= -1e-3).all()
    kls = [dim["kl"] for dim in facts["dims"]]
    assert kls == sorted(kls, reverse=True) and len(kls) == min(width, 256)
    assert all(sum(dim["histogram"]["counts"]) == count for dim in facts["dims"])
    for column in facts["points"]["columns"]:
        assert run.at(column["values"]).shape == (count,)
        if column["kind"] == "category":
            assert run.at(column["values"]).max() < len(column["names"])
    assert facts["maps"][0]["id"] == "dims"
    for plane in facts["maps"]:
        xy, values = run.at(plane["xy"]), run.at(plane["density"]["values"])
        assert xy.shape == (count, 2) and np.isfinite(xy).all() and values.max() == 255
        assert 0 <= plane["off"] <= 255 and len(plane["origin"]) == width
    shown = facts["points"]["shown"]["count"]
    block = facts["items"]
    many = (
        run.at(block["pixels"])
        if block["form"] == "image"
        else block[{"cells": "cells", "text": "texts"}.get(block["form"], "items")]
    )
    assert len(many) == shown == count


@pytest.mark.parametrize("name", CASES)
def test_every_kind_answers(runs: Any, name: str) -> None:
    run = runs(name)
    code = run.at(run.facts["points"]["codes"])[0].tolist()
    item = run.answers.decode({"codes": [code, code], "condition": None})["items"]
    assert len(item) == 2 and item[0] == item[1]
    way = run.answers.path({"codes": [code], "condition": None})
    nll = way.nll(0)
    assert bool(run.facts["nll"]) == run.subject.stochastic
    assert way.told([nll])["items"] == item[:1]
    assert math.isfinite(nll) if run.subject.stochastic else nll is way.told([nll])["nll"] is None
    found = run.answers.encode({"item": {"index": 0}, "condition": None})
    assert np.allclose(found["code"], code, atol=1e-4)
    assert found["nearest"][0]["distance"] < 1e-3 and len(found["nearest"]) == 10
    distances = [one["distance"] for one in found["nearest"]]
    assert distances == sorted(distances)
    assert found["elbo"] == pytest.approx(float(run.at(run.facts["points"]["elbo"])[0]), rel=1e-4, abs=1e-3)
    assert found["elbo"] == pytest.approx(-found["distortion"] - found["kl"], rel=1e-6)
    heldout = run.at(run.facts["heldout"])
    assert len(heldout) == len(run.data.heldout) and (np.diff(heldout) >= 0).all()
    expected = (1 + (heldout >= -found["elbo"] - 1e-3).sum()) / (1 + len(heldout))
    assert found["p_value"] == pytest.approx(expected, abs=1.5 / len(heldout))


@pytest.mark.parametrize("name", CASES)
def test_what_is_shown_can_be_given_back(runs: Any, name: str) -> None:
    run = runs(name)
    shown = run.answers.encode({"item": {"index": 1}, "condition": None})["item"]
    form = next(iter(shown))
    given = (
        shown
        if form != "parts"
        else {"parts": [{"name": one["name"], "given": one["shown"]} for one in shown[form]]}
    )
    again = run.answers.encode({"item": given, "condition": None})
    assert again["item"][form] == shown[form] or name in ("vectors", "holes", "sphere", "one")
    assert len(again["code"]) == run.subject.width


# ---------------------------------------------------------------------- figures against closed forms


def test_bounds_of_points_are_those_of_the_model(runs: Any) -> None:
    """ELBO at the centre: log p(x | μ) − KL(N(μ, σ²) ‖ N(0, I)), by torch's own densities and in the data's units."""
    run = runs("vectors")
    subject = run.subject
    batch = run.found.points.items.batch(torch.arange(4))
    with torch.no_grad():
        out = subject.model(batch.x)
        q, px = out.latents[0].q, subject.model.decode(out.latents[0].q.mean)
        rate = 0.5 * (q.mean**2 + q.stddev**2 - 1 - 2 * q.stddev.log()).sum(1)
        normal = -0.5 * ((batch.x - px.mean) / px.stddev) ** 2 - px.stddev.log() - 0.5 * math.log(2 * math.pi)
        expected = normal.sum(1) - rate - float(np.log(subject.kind.scale).sum())
    assert np.allclose(run.at(run.facts["points"]["elbo"])[:4], expected, atol=1e-3)
    assert np.allclose(run.at(run.facts["points"]["kl"])[:4], rate, atol=1e-4)
    assert np.allclose(bounded(subject, batch)[0], expected, atol=1e-4)


def test_likelihoods_along_a_path_are_importance_sampled(runs: Any) -> None:
    run = runs("vectors")
    codes = run.at(run.facts["points"]["codes"])[:3]
    kind, model = run.subject.kind, run.subject.model
    x, _ = run.subject.decode(torch.from_numpy(codes.copy()))
    batch = kind.encode(kind.store(kind.decode(x)))
    same = torch.zeros(3, dtype=torch.long)  # all from the same draws
    expected = -(log_likelihood(model, batch.x, samples=64, rows=same) + kind.log_volume(batch))
    way = run.answers.path({"codes": codes.tolist(), "condition": None})
    assert np.allclose([way.nll(i) for i in range(3)], expected, atol=1e-3)
    # against many more draws: near
    better = -(log_likelihood(model, batch.x, samples=5_000) + kind.log_volume(batch))
    assert np.allclose(expected, better, atol=0.5)
    assert "importance sampling with 64 draws" in run.facts["nll"]["says"]


def test_what_a_path_scores_is_what_the_static_page_makes_of_it(runs: Any) -> None:
    """Bits by a threshold, and numbers on a grid in the middle of their cell: nothing is drawn (web/src/reading.ts)."""
    run = runs("bits")
    x, c = run.subject.decode(torch.from_numpy(run.found.points.codes[:5].copy()))
    bits = (x >= 0.5).float()
    assert 0.2 < float(bits.mean()) < 0.8 and torch.equal(Way(run.subject, x, c).batch.x, bits)
    run = runs("table")
    x, c = run.subject.decode(torch.from_numpy(run.found.points.codes[:5].copy()))
    batch, codes = Way(run.subject, x, c).batch, dict(run.subject.kind.restored(x))
    checked = 0
    for i, column in enumerate(run.subject.kind.scored):
        start, width = column.score(codes[column])
        counts = batch.mask[:, i].numpy()  # others are point masses, or not there
        assert np.allclose(batch.x[counts, i], (start + width / 2)[counts], atol=1e-6)
        checked += int((counts & (width > 0)).sum())
    assert checked >= 5


def test_a_condition_changes_what_is_decoded(runs: Any) -> None:
    run = runs("conditional")
    code = torch.zeros(1, run.subject.width)
    each = [run.subject.decode(code, label) for label in (0, 1, 1)]
    assert [c.argmax().item() for _, c in each] == [0, 1, 1]
    assert not torch.equal(each[0][0], each[1][0]) and torch.equal(each[1][0], each[2][0])
    for wrong in (3, -1, True, "0"):
        with pytest.raises(UsageError):
            run.answers.decode({"codes": code.tolist(), "condition": wrong})


def test_codes_between_entries_of_a_codebook_become_those_of_the_nearest_point(runs: Any) -> None:
    run = runs("codebook")
    codes = run.at(run.facts["points"]["codes"])
    assert (codes == codes.round()).all()
    near = (codes[0] + 0.01).tolist()
    known = run.answers.decode({"codes": [codes[0].tolist()], "condition": None})["items"]
    assert run.answers.decode({"codes": [near], "condition": None})["items"] == known
    assert not [one for plane in run.facts["maps"] for one in plane["contours"] if one["of"] == "prior"]


@pytest.mark.parametrize(
    "codes",
    [
        None,
        [],
        "x",
        [[]],
        [[0.0]],
        [0.0] * 5,
        [["0"] * 5],
        [[True] * 5],
        [[1e39] * 5],
        [[None] * 5],
        [[0.0] * 5] * 257,
    ],
    ids=str,
)
def test_codes_that_are_none_are_refused(runs: Any, codes: Any) -> None:
    run = runs("images")
    width = run.subject.width
    codes = (
        [
            row * (width // 5) + row[: width % 5] if isinstance(row, list) and len(row) == 5 else row
            for row in codes
        ]
        if isinstance(codes, list)
        else codes
    )
    with pytest.raises(DataError):
        run.answers.decode({"codes": codes, "condition": None})


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("images", None), ("images", 3), ("images", {}), ("images", {"image": {}}), ("images", {"cells": ["1"]}),
        ("images", {"image": {"shape": [8, 8, 1], "pixels": "AAAA"}}),
        ("images", {"image": {"shape": [8, 8, 1], "pixels": "é"}}),
        ("images", {"index": -1}), ("images", {"index": 40}), ("images", {"index": True}), ("images", {"index": "0"}),
        ("images", {"text": "a"}), ("text", {"text": 3}), ("text", {"text": "Z"}), ("text", {"text": "a" * 100}),
        ("table", {"cells": ["1"]}), ("table", {"cells": [1, 2, 3, 4, 5]}), ("table", {"cells": ["x"] * 5}),
        ("vectors", {"cells": ["x"] * 5}), ("vectors", {"cells": ["inf"] * 5}), ("counts", {"cells": ["-1"] * 12}),
    ],
    ids=str,
)  # fmt: skip
def test_items_that_are_none_are_refused(runs: Any, name: str, item: Any) -> None:
    with pytest.raises((DataError, UsageError)):
        runs(name).answers.encode({"item": item, "condition": None})


# ---------------------------------------------------------------------- maps


def test_places_and_codes_belong_together(runs: Any) -> None:
    run = runs("vectors")
    codes = run.at(run.facts["points"]["codes"]).astype(np.float64)
    for plane in run.facts["maps"]:
        xy, basis = run.at(plane["xy"]), np.asarray(plane["basis"])
        back = (codes - np.asarray(plane["origin"])) @ basis.T
        assert np.allclose(basis @ basis.T, np.eye(2), atol=1e-9) and np.allclose(back, xy, atol=1e-4)
    first, second = (run.facts["dims"][i]["index"] for i in (0, 1))
    assert np.array_equal(run.at(run.facts["maps"][0]["xy"]), codes[:, [first, second]].astype(np.float32))


def test_principal_components_are_those_of_the_singular_values() -> None:
    codes = RNG.normal(size=(300, 6)) @ RNG.normal(size=(6, 6))
    plane = planes.principal(codes)
    _, values, directions = np.linalg.svd(codes - codes.mean(0), full_matrices=False)
    assert np.allclose(np.abs((plane.basis * directions[:2]).sum(1)), 1.0)
    shares = [f"({100 * share:.0f} %)" for share in values[:2] ** 2 / (values**2).sum()]
    assert [axis.split(" ", 2)[2] for axis in plane.axes] == shares


def test_contours_of_the_standard_normal_prior_are_circles(runs: Any) -> None:
    """P(‖z‖ ≤ r) = 1 − exp(−r² / 2) in the plane; around the place of z = 0, which is not the middle of the points."""
    for plane in runs("vectors").facts["maps"]:
        zero = -np.asarray(plane["origin"]) @ np.asarray(plane["basis"]).T
        prior = {
            one["level"]: np.asarray(one["lines"][0]) for one in plane["contours"] if one["of"] == "prior"
        }
        for word, left in (("50 %", 0.5), ("90 %", 0.1), ("99 %", 0.01)):
            radius = np.linalg.norm(prior[word] - zero, axis=1)
            assert np.allclose(radius, math.sqrt(-2 * math.log(left)), atol=2e-4)


def test_contours_by_draws_are_those_in_closed_form() -> None:
    plane = planes.principal(np.random.default_rng(0).normal(size=(500, 3)) * [3, 2, 1])
    draws = np.random.default_rng(1).normal(size=(40_000, 3))
    for exact, drawn in zip(maps.normal_contours(plane), maps.drawn_contours(draws, plane), strict=True):
        middle = np.asarray(exact["lines"][0]).mean(0)
        radius = np.linalg.norm(np.asarray(exact["lines"][0]) - middle, axis=1).mean()
        longest = max(drawn["lines"], key=len)
        assert np.linalg.norm(np.asarray(longest) - middle, axis=1).mean() == pytest.approx(radius, rel=0.08)


def test_density_is_that_of_the_points_and_their_posteriors() -> None:
    """Points N(0, S), posteriors of width t: q(z) on the plane is N(0, S + t² + (Scott's width)²)."""
    scale, spread, n = np.array([1.0, 2.0]), np.array([0.5, 0.1]), 60_000
    xy = np.random.default_rng(2).normal(size=(n, 2)) * scale
    found = density(xy, spread)
    variance = scale**2 * (1 + n ** (-1 / 3)) + spread**2
    x, y = np.meshgrid(found.x, found.y)
    expected = np.exp(-0.5 * (x**2 / variance[0] + y**2 / variance[1])) / (
        2 * math.pi * np.sqrt(variance.prod())
    )
    assert np.abs(found.values - expected).max() < 0.04 * expected.max()
    cell = (found.x[1] - found.x[0]) * (found.y[1] - found.y[0])
    assert found.values.sum() * cell == pytest.approx(1, abs=0.01)


def test_levels_hold_their_share_of_the_points() -> None:
    xy = np.random.default_rng(3).normal(size=(4_000, 2))
    found = density(xy)
    for share in (0.5, 0.9, 0.99):
        level = found.level(xy, share)
        assert (found.at(xy) >= level).mean() == pytest.approx(share, abs=0.005)
    assert found.at(np.array([[1e6, 0.0]])) == 0
    half = np.concatenate(found.lines(found.level(xy, 0.5)))
    assert np.linalg.norm(half, axis=1).mean() == pytest.approx(math.sqrt(2 * math.log(2)), rel=0.08)


def test_off_the_data_is_where_one_in_a_hundred_points_lies(runs: Any) -> None:
    run = runs("vectors")
    plane = run.facts["maps"][0]
    values, xy = run.at(plane["density"]["values"]), run.at(plane["xy"])
    x0, x1, y0, y1 = plane["extent"]
    column = ((xy[:, 0] - x0) / (x1 - x0) * values.shape[1]).astype(int)
    row = ((xy[:, 1] - y0) / (y1 - y0) * values.shape[0]).astype(int)
    assert (values[row, column] < plane["off"] - 1).mean() <= 0.02
    assert (values[[0, 0, -1, -1], [0, -1, 0, -1]] < plane["off"]).all()


def test_a_posterior_that_ignores_everything_has_a_map() -> None:
    found = density(np.zeros((50, 2)))
    assert np.isfinite(found.values).all() and found.values.max() > 0


class _Reducer:
    def __init__(self, n_components: int, random_state: int, n_jobs: int) -> None:
        self.width = n_components

    def fit_transform(self, codes: np.ndarray) -> np.ndarray:
        return codes[:, : self.width] * 2

    transform = fit_transform


def test_umap_is_a_map_without_codes_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.machinery

    module = SimpleNamespace(UMAP=_Reducer, __spec__=importlib.machinery.ModuleSpec("umap", None))
    monkeypatch.setitem(sys.modules, "umap", module)
    subject, data = made("vectors")
    known = explored(subject, divided=data)
    assert [one["id"] for one in known.facts["maps"]] == ["dims", "pca"]
    assert known.facts["later"] == [{"id": "umap", "name": "Neighbourhoods (UMAP)"}]
    more = with_map(known, subject, "umap")
    plane, codes = more.facts["maps"][-1], array_at(more.facts["points"]["codes"], more.content)
    assert plane["id"] == "umap" and plane["basis"] is None and not more.facts["later"]
    assert {one["of"] for one in plane["contours"]} == {"density"}
    assert np.array_equal(array_at(plane["xy"], more.content), 2 * codes[:, :2]), (
        "its arrays are behind the others"
    )
    assert with_map(more, subject, "umap") is more, "it was made already"
    with pytest.raises(DataError, match="no such map"):
        with_map(known, subject, "tsne")


# ---------------------------------------------------------------------- which points


def test_every_beginning_of_the_order_is_a_fair_sample() -> None:
    label = np.repeat([0, 1, 2, -1], [500, 300, 150, 50])
    order = spread_out(np.zeros(1_000, dtype=int), label)
    assert sorted(order) == list(range(1_000))
    for n in (100, 400):
        shares = [(label[order[:n]] == one).mean() for one in (0, 1, 2, -1)]
        assert np.allclose(shares, [0.5, 0.3, 0.15, 0.05], atol=2.5 / n)


def test_many_points_are_sampled_and_it_is_said(runs: Any) -> None:
    run = runs("images")
    few = explored(run.subject, divided=run.data, most=12)
    assert few.facts["points"]["count"] == 12
    assert few.facts["points"]["sampled"].startswith("12 of 40 items")
    assert run.facts["points"]["sampled"] is None
    split = run.at(next(c for c in run.facts["points"]["columns"] if c["name"] == "split")["values"])
    assert (split == 0).sum() == len(run.data.heldout)


def test_points_end_when_time_does(runs: Any) -> None:
    run = runs("images")
    found = points(run.subject, within=-1.0, divided=run.data)
    assert len(found) == 40  # one chunk is always measured


def test_items_are_sent_as_far_as_there_is_room(runs: Any) -> None:
    run = runs("images")
    found = explored(run.subject, divided=run.data, room=64 * 20)
    assert found.facts["points"]["shown"] == {"count": 20}
    assert found.facts["items"]["pixels"]["shape"] == [20, 8, 8, 1]


def test_shown_items_are_those_of_the_points(runs: Any) -> None:
    run = runs("images")
    raw = run.found.points.items.raw.numpy()[:, 0]
    assert np.array_equal(run.at(run.facts["items"]["pixels"])[..., 0], raw)
    label = run.at(run.facts["points"]["label"])
    assert np.array_equal(label, run.found.points.items.labels.numpy())


def test_columns_of_a_table_are_its_cells(runs: Any) -> None:
    run = runs("table")
    columns = {one["name"]: one for one in run.facts["points"]["columns"]}
    assert set(columns) == {"split", "size", "count", "weight", "sex", "when"}
    cells = run.facts["items"]["cells"]
    size = run.at(columns["size"]["values"])
    assert np.allclose(size, [float(row[0]) for row in cells], atol=1e-3)
    holes = np.isnan(run.at(columns["weight"]["values"]))
    assert [row[2] == "" for row in cells] == holes.tolist() and holes.any()
    years = run.at(columns["when"]["values"])
    assert years.min() >= 2020 and years.max() < 2022
    assert [columns["sex"]["names"][i] for i in run.at(columns["sex"]["values"])] == [row[3] for row in cells]


def test_without_the_data_points_are_draws_of_the_model() -> None:
    subject, _ = made("vectors")
    found = explored(subject)
    assert "draws from the model: " in found.facts["points"]["sampled"]
    assert found.facts["points"]["shown"]["count"] == found.facts["points"]["count"] == 1_000
    assert Answers(subject, found).encode({"item": {"index": 0}})["p_value"] <= 1


def test_without_the_data_items_are_held_against_the_scores_that_are_kept_as_those_were_scored() -> None:
    subject, data = made("vectors")
    everyone = data.heldout.batch(torch.arange(len(data.heldout)))
    apart = (
        evaluated(subject.model, data.heldout) + bounded(subject, everyone)[0]
    )  # of draws and of the centre
    row = int(apart.abs().argmax())
    own, half = float(evaluated(subject.model, data.heldout)[row]), float(apart[row].abs()) / 2
    assert half > 0.005
    batch = data.heldout.batch(torch.tensor([row]))
    kept = replace(subject, about={**subject.about, "calibration": {"scores": [own - half, own + half]}})
    found = explored(kept)  # the points are draws of the model, which are no held-out items
    item = {"cells": [repr(float(value)) for value in np.asarray(subject.kind.decode(batch.x))[0]]}
    assert Answers(kept, found).encode({"item": item})["p_value"] == pytest.approx(2 / 3)
    assert found.facts["heldout"]["shape"] == [2]
    assert explored(kept, source="static").facts["heldout"]["shape"] == [0]  # its graph scores at the centre


def test_without_data_or_prior_there_are_no_points() -> None:
    subject, _ = made("images", "autoencoder")
    found = explored(subject)
    assert found.facts["points"]["count"] == 0 and found.facts["maps"] == []
    assert len(found.facts["dims"]) == subject.width
    assert len(Answers(subject, found).decode({"codes": [[0.0] * subject.width]})["items"]) == 1


def test_prior_codes_of_a_stack_are_those_of_the_model(runs: Any) -> None:
    subject = runs("hierarchical").subject
    found = subject.prior_codes(7)
    bottleneck = subject.model.bottleneck
    with torch.no_grad():
        known = bottleneck.codes(bottleneck(n=7, noise=Noise(0, "explore: prior"))[1])
    assert torch.equal(found, packed(known)) and found.shape == (7, subject.width)


# ---------------------------------------------------------------------- the file of arrays


def test_arrays_begin_at_multiples_of_four_and_come_back() -> None:
    arrays, given = (
        Arrays(),
        [([[1, 2, 3]], "u1"), ([1.5], "f4"), ([-1, 300], "i2"), ([[], []], "f4"), ([7], "i4")],
    )
    told = [arrays.add(values, dtype) for values, dtype in given]
    assert all(one["at"] % 4 == 0 for one in told)
    for one, (values, _) in zip(told, given, strict=True):
        assert np.array_equal(array_at(one, arrays.bytes), np.asarray(values))
    assert np.frombuffer(arrays.bytes[told[1]["at"] :][:4], "<f4") == 1.5


def test_facts_are_strict_json(runs: Any) -> None:
    for name in CASES:
        text = runs(name).found.json.decode()
        assert json.loads(text, parse_constant=str) == json.loads(text, parse_constant=lambda word: None)
