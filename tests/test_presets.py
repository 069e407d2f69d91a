"""The contract that every preset keeps with every kind of data it takes."""

from __future__ import annotations

import math
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from vaekit import persistence
from vaekit.data import Items, TableSource, TextSource, build, detect
from vaekit.data.loaded import Source
from vaekit.data.parts import PartsSource
from vaekit.diagnosis import UNMEASURED, Effort, examine
from vaekit.distributions import Noise, center
from vaekit.operations import packed
from vaekit.presets import ABOUT, CHAPTERS, PRESETS, about
from vaekit.recipes import build as rebuilt
from vaekit.recipes import recipe
from vaekit.training import Adam, see_first, start, train

ROWS, STEPS = 24, 4
COMPRESSED = {"warmup": 2, "period": 2, "periods": 1, "start": 1}  # schedules that end within the test
SMALL = {
    "components": 3, "inputs": 4, "codes": 8, "samples": 2, "groups": 2, "inner": 2, "width": 16, "hidden": 16,
    "projections": 4, "layers": 2,
}  # fmt: skip
CASES = [(name, kind) for name in PRESETS for kind in ABOUT[name].kinds]
IDS = [f"{name}-{kind}" for name, kind in CASES]


def data(kind: str, conditional: bool) -> Items:
    """A few rows of a kind, with labels a, b and unknown."""
    import pandas as pd
    import scipy.sparse

    rng = np.random.default_rng(0)
    labels = np.arange(ROWS) % 3 - (np.arange(ROWS) % 3 == 2) * 3  # 0, 1, −1
    named = {"labels": labels, "label_names": ("a", "b")}
    if kind == "table":
        frame = pd.DataFrame(
            {"x": rng.normal(size=ROWS), "y": rng.normal(size=ROWS), "city": rng.choice(["u", "v", "w"], ROWS),
             "label": rng.choice(["a", "b"], ROWS)}
        )  # fmt: skip
        source: Any = TableSource(frame, label_columns=("label",) if conditional else ())
    elif kind == "counts":
        counts = scipy.sparse.csr_matrix(rng.poisson(2.0, (ROWS, 6)))
        from vaekit.data import read

        source = read(counts, labels=labels)
    elif kind == "sequences":
        source = TextSource([("ab" * 6)[: 1 + i % 5] for i in range(ROWS)], **named)
    elif kind == "parts":
        source = PartsSource(
            {"point": rng.normal(size=(ROWS, 3)), "picture": rng.integers(0, 16, (ROWS, 8, 8)).astype(np.uint8),
             "class": np.arange(ROWS) % 3}
        )  # fmt: skip
    elif kind == "images":
        source = Source(rng.integers(0, 16, (ROWS, 8, 8)).astype(np.uint8), **named)
    else:
        source = Source(rng.normal(size=(ROWS, 6)), **named)
    found, _ = detect(source, conditional=conditional)
    if conditional and kind != "table":
        found.conditional = True
    return build(source, found)


@cache
def made(name: str, kind: str) -> SimpleNamespace:
    """A preset before training: its items, model, objective and the options it was made with."""
    import inspect

    items = data(kind, ABOUT[name].labels)
    known = inspect.signature(PRESETS[name]).parameters
    options = {key: value for key, value in {**SMALL, **COMPRESSED}.items() if key in known}
    with Noise(0, "weights").torch():
        model, objective = PRESETS[name](
            items.kind, latent=known["latent"].default if name == "fsq_vae" else 4, **options
        )
    return SimpleNamespace(items=items, model=model, objective=objective, options=options)


@cache
def trained(name: str, kind: str) -> SimpleNamespace:
    """The same after a few steps, and what it was before them."""
    import copy

    case = made(name, kind)
    model, objective = copy.deepcopy((case.model, case.objective))
    before = {key: t.clone() for key, t in [*model.state_dict().items(), *prefixed(objective)]}
    losses = [float(now.loss) for now in training(model, objective, case.items)]
    return SimpleNamespace(
        items=case.items, model=model.eval(), objective=objective, before=before, losses=losses
    )


def prefixed(objective: Any) -> list[tuple[str, torch.Tensor]]:
    return [(f"objective.{key}", t) for key, t in objective.state_dict().items()]


def training(model: Any, objective: Any, items: Items, steps: int = STEPS, resume: Any = None) -> Any:
    return train(
        model,
        objective,
        items,
        steps=steps,
        batch_size=12,
        optimizer=Adam(1e-2, clip=1e4),
        seed=3,
        resume=resume,
    )


def batch_of(items: Items, rows: list[int]) -> Any:
    return items.batch(torch.tensor(rows))


@pytest.fixture(params=CASES, ids=IDS)
def case(request: pytest.FixtureRequest) -> SimpleNamespace:
    return trained(*request.param)


def test_the_loss_is_finite(case) -> None:
    assert len(case.losses) == STEPS
    assert all(math.isfinite(loss) for loss in case.losses)


@pytest.mark.parametrize(("name", "kind"), CASES, ids=IDS)
def test_building_moves_no_buffer_and_depends_on_the_seed_alone(name, kind) -> None:
    case = made(name, kind)
    latent = {"latent": 4} if name != "fsq_vae" else {}
    with Noise(0, "weights").torch():
        model, _ = PRESETS[name](case.items.kind, **latent, **case.options)
    first, second = case.model.state_dict(), model.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    model.eval()
    batch = batch_of(case.items, [0, 1, 2])
    with torch.no_grad():
        model(batch.x, batch.c, batch.mask, noise=Noise(0))
    assert all(torch.equal(first[key], t) for key, t in model.state_dict().items())


def test_everything_trainable_moves_and_nothing_frozen_does(case) -> None:
    frozen = [name for name, p in case.model.named_parameters() if not p.requires_grad]
    for name, p in [
        *case.model.named_parameters(),
        *((f"objective.{n}", p) for n, p in case.objective.named_parameters()),
    ]:
        moved = not torch.equal(case.before[name], p)
        assert moved == p.requires_grad, f"{name} {'did not move' if p.requires_grad else 'moved'}"
    assert all(torch.equal(case.before[name], dict(case.model.named_parameters())[name]) for name in frozen)


@torch.no_grad()
def test_encode_is_complete_in_order_and_the_same_at_every_call(case) -> None:
    whole = batch_of(case.items, list(range(7)))
    codes = packed(case.model.encode(whole.x, whole.c, whole.mask))
    again = packed(case.model.encode(whole.x, whole.c, whole.mask))
    assert len(codes) == 7 and torch.equal(codes, again)
    for row in (0, 3, 6):
        one = batch_of(case.items, [row])
        alone = packed(case.model.encode(one.x, one.c, one.mask))[0]
        torch.testing.assert_close(alone, codes[row], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_decode_takes_what_encode_gives(case) -> None:
    batch = batch_of(case.items, [0, 1, 2])
    x = center(case.model.decode(case.model.encode(batch.x, batch.c, batch.mask), batch.c))
    assert x.shape == batch.x.shape and bool(torch.isfinite(x).all())


@torch.no_grad()
def test_samples_are_items(case) -> None:
    c = case.items.kind.conditions(3, None, Noise(1))
    bottleneck = case.model.bottleneck
    if not bottleneck.stochastic and bottleneck.prior is None:
        with pytest.raises(ValueError, match="prior"):
            case.model.sample(3, c, noise=Noise(0))
        return
    x = case.model.sample(3, c, noise=Noise(0))
    assert x.shape == (3, *case.items.kind.shape) and bool(torch.isfinite(x).all())
    assert torch.equal(x, case.model.sample(3, c, noise=Noise(0)))
    assert len(case.items.kind.decode(x, c)) in (3, len(getattr(case.items.kind, "parts", ())))


@torch.no_grad()
def test_rate_and_weight_are_finite_or_refused(case) -> None:
    batch = batch_of(case.items, [0, 1, 2])
    out = case.model(batch.x, batch.c, batch.mask, samples=2, noise=Noise(0))
    if not case.model.bottleneck.stochastic:
        for figure in ("rate", "log_weight"):
            with pytest.raises(ValueError):
                getattr(out, figure)
        return
    assert out.rate.shape == out.log_weight.shape == (6,)
    assert bool(torch.isfinite(out.rate).all() & torch.isfinite(out.log_weight).all())


@torch.no_grad()
def test_a_saved_model_opens_identical(case, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(persistence.files.os, "fsync", lambda _: None)
    opened, kind, _ = persistence.load(persistence.save(tmp_path / "model", case.model, case.items.kind))
    batch = batch_of(case.items, [0, 1, 2])
    assert torch.equal(
        packed(opened.encode(batch.x, batch.c, batch.mask)),
        packed(case.model.encode(batch.x, batch.c, batch.mask)),
    )
    assert recipe(opened) == recipe(case.model) and recipe(kind) == recipe(case.items.kind)
    if case.model.bottleneck.stochastic:
        c = kind.conditions(2, None, Noise(1))
        assert torch.equal(opened.sample(2, c, noise=Noise(5)), case.model.sample(2, c, noise=Noise(5)))


def test_a_recipe_comes_back_exactly(case) -> None:
    written = recipe(case.model)
    assert recipe(rebuilt(written)) == written


@pytest.mark.parametrize(("name", "kind"), CASES, ids=IDS)
def test_a_run_that_was_stopped_ends_in_the_same_weights(name, kind) -> None:
    import copy

    whole = trained(name, kind)
    case = made(name, kind)
    first = copy.deepcopy((case.model, case.objective))
    for now in training(*first, case.items, steps=2):
        state = now.state
    saved = {key: t.clone() for key, t in state.tensors().items()}
    second = copy.deepcopy((case.model, case.objective))
    see_first(second[0], case.items, seed=3)
    resumed = start(*second, Adam(1e-2, clip=1e4))
    resumed.restore(saved, 2)
    for _ in training(*second, case.items, resume=resumed):
        pass
    ended = second[0].state_dict()
    assert all(torch.equal(t, ended[key]) for key, t in whole.model.state_dict().items())


@pytest.mark.parametrize("entry", about(), ids=lambda entry: entry["name"])
def test_what_is_said_of_a_preset_is_whole(entry) -> None:
    assert entry["authors"] and entry["year"].isdigit() and 1990 < int(entry["year"]) < 2100
    assert entry["summary"].endswith(".") and "Use it" in entry["advice"]
    assert " not " in f" {entry['advice']} ", "it says when not to use it, too"
    assert entry["objective"] and entry["chapter"] in CHAPTERS and entry["kinds"]


def test_the_page_of_presets_is_what_they_say() -> None:
    import importlib.util
    from pathlib import Path

    place = Path(__file__).parents[1] / "tools" / "presets_page.py"
    spec = importlib.util.spec_from_file_location("presets_page", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run python tools/presets_page.py"


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_at_most_twelve_lines(name) -> None:
    import ast
    import inspect
    import textwrap

    (function,) = ast.parse(textwrap.dedent(inspect.getsource(PRESETS[name]))).body
    body = function.body[1:]  # without the docstring
    assert body[-1].end_lineno - body[0].lineno + 1 <= 12


def test_what_did_not_beat_its_ablation_is_marked_experimental() -> None:
    import json
    from pathlib import Path

    place = Path(__file__).parents[1] / "benchmarks"
    verdicts = json.loads((place / "verdicts.json").read_text())
    for name in sorted(set(PRESETS) & set(verdicts)):
        assert bool(ABOUT[name].experimental) != verdicts[name], (
            f"{name}: benchmarks/claims.md says otherwise"
        )


FEW = Effort(items=ROWS, refined=4, steps=1, classifier=2)
EXAMINED = [(name, about_.kinds[0]) for name, about_ in ABOUT.items()]
EXAMINED += [("vae", kind) for kind in ABOUT["vae"].kinds[1:]]


@pytest.mark.parametrize(("name", "kind"), EXAMINED, ids=[f"{name}-{kind}" for name, kind in EXAMINED])
def test_the_doctor_can_examine_it(name: str, kind: str) -> None:
    case = trained(name, kind)
    items: Any = case.items
    found = examine(case.model, items.kind, items, items, config={"preset": name}, effort=FEW)
    assert not [finding for finding in found if UNMEASURED in finding.evidence]
    assert next(finding for finding in found if finding.name == "latent").value is not None
