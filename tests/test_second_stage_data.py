"""A prior is fitted to what the run trained on: the same squares, the same array of an archive, the same labels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from commands import call

import vaekit
from vaekit import config as configuration
from vaekit import files, persistence, second_stage
from vaekit.data import Items
from vaekit.diagnosis import record
from vaekit.launch import configure
from vaekit.prepare import compose, prepare
from vaekit.run import Run


class Reached(Exception):
    """The fit would begin here."""


@pytest.fixture
def reached(monkeypatch) -> SimpleNamespace:
    """What the fit was given, and what was held out; nothing is fitted."""
    found = SimpleNamespace()

    def evaluate(model: Any, items: Items) -> dict[str, float]:
        found.heldout = items
        return {"elbo": 0.0, "rate": 0.0}

    def fit_prior(model: Any, prior: Any, items: Items, **_: Any) -> Any:
        found.seen = items
        raise Reached

    monkeypatch.setattr(second_stage, "evaluate", evaluate)
    monkeypatch.setattr(second_stage, "fit_prior", fit_prior)
    return found


def untrained(place: Path, source: Path, **options: Any) -> tuple[Run, Any]:
    """A run folder of a model that has not learnt anything, and the data as they were prepared for it."""
    config = configure(str(source), options)
    data = prepare(str(source), config)
    persistence.save(
        place / "model", compose(data.kind, config, 10).model, data.kind, about={"preset": config.preset}
    )
    configuration.write(place / "config.yaml", config, set())
    files.write_json(
        place / "run.json",
        {"format": persistence.FORMAT, "status": "finished", "data": {"path": str(source)}},
    )
    return Run(place), data


def same(found: Items, wanted: Items) -> None:
    assert torch.equal(found.raw, wanted.raw)
    assert (found.labels is None) == (wanted.labels is None)
    assert wanted.labels is None or torch.equal(found.labels, wanted.labels)


@pytest.fixture
def archive(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        "noise": rng.normal(size=(30, 5)).astype(np.float32),
        "rows": rng.normal(size=(40, 3)).astype(np.float32),
        "names": np.array(["a", "b"])[rng.integers(0, 2, 40)],
    }
    np.savez(tmp_path / "x.npz", **arrays)
    return tmp_path / "x.npz"


@pytest.mark.parametrize(
    "options",
    [
        {"key": "rows"},
        {"key": "rows", "labels": "names", "preset": "conditional_vae"},
        {"key": "rows", "labels": "names", "seed": 3},
    ],
    ids=["key", "condition", "labels"],
)
def test_the_array_and_the_labels_of_an_archive_are_those_of_training(archive, tmp_path, reached, options):
    run, data = untrained(tmp_path / "r", archive, **options)
    with pytest.raises(Reached):
        run.fit_prior(str(archive), "diffusion", steps=1, quiet=True)
    same(reached.seen, data.train), same(reached.heldout, data.heldout)


def test_squares_are_cut_and_held_out_by_picture_as_for_training(tmp_path, reached):
    pictures = np.random.default_rng(0).integers(0, 256, (12, 16, 24)).astype(np.uint8)
    np.save(tmp_path / "p.npy", pictures)
    run, data = untrained(tmp_path / "r", tmp_path / "p.npy", patch=8)
    assert len(data.train) + len(data.heldout) > 12
    with pytest.raises(Reached):
        run.fit_prior(str(tmp_path / "p.npy"), "mixture", components=2, quiet=True)
    same(reached.seen, data.train), same(reached.heldout, data.heldout)


def test_held_out_data_of_their_own_are_read_as_for_training(archive, tmp_path, reached):
    run, data = untrained(tmp_path / "r", archive, key="rows", val=str(archive))
    with pytest.raises(Reached):
        run.fit_prior(str(archive), "diffusion", steps=1, quiet=True)
    same(reached.seen, data.train), same(reached.heldout, data.heldout)
    assert len(reached.heldout) == 40


def test_a_model_without_its_run_is_refused(archive, tmp_path):
    untrained(tmp_path / "r", archive, key="rows")
    answer = call("fit-prior", tmp_path / "r" / "model", archive)
    assert answer.code == 4 and "E301" in answer.err


def test_a_diagnosis_is_of_the_prior_that_is_there(tmp_path: Path) -> None:
    """Rows of two clusters, whose codes a standard normal does not cover."""
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(200, 3)) + np.repeat([[-9.0], [9.0]], 100, 0)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    run = vaekit.fit(
        tmp_path / "rows.npy", latent=2, steps=5, out=tmp_path / "r", quiet=True, reference=False
    )
    run.fit_prior(str(tmp_path / "rows.npy"), "mixture", components=2, quiet=True)
    assert not record.known(run.path), "a run that was not examined is not examined now"
    before = run.diagnose()
    run.fit_prior(str(tmp_path / "rows.npy"), "mixture", components=3, quiet=True)
    after = record.known(run.path)
    assert after["quick"] and not before["quick"]
    place = [line["name"] for line in after["findings"]].index("prior")
    assert after["findings"][place]["evidence"] != before["findings"][place]["evidence"]
