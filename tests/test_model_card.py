"""The model card: front matter that can be read, what it says of the folder, and that names cannot break out of it."""

import json

import numpy as np
import pytest
import yaml

import vaekit
from vaekit import files, model_card, persistence
from vaekit.errors import FileError, UsageError

FACTS = {
    "name": "wine", "preset": "beta_vae", "objective": "Distortion() + 4 Rate()", "seed": 3, "steps": 40,
    "seconds": 75.0, "versions": {"vaekit": "0.1.0"},
    "data": {"count": 90, "heldout": 10, "path": "/home/somebody/secret.csv"},
    "metrics": {"elbo": -12.5, "rate": 3.0, "distortion": 9.5, "active_units": 2, "n": 10},
    "verdict": [{"what": "samples", "answer": "partly", "says": "AUC 0.70, 95 % interval 0.60 to 0.80"}],
}  # fmt: skip
DATA = {"kind": "table", "count": 100, "shape": [7], "likelihood": "Columns", "fingerprint": "ab" * 32}


def test_the_card_says_what_it_is_what_for_and_what_not() -> None:
    text = model_card.written(FACTS, DATA, coded=100)
    assert model_card.front(text) == {
        "library_name": "vaekit", "license": "unknown",
        "tags": ["vaekit", "variational-autoencoder", "beta_vae", "tabular"],
    }  # fmt: skip
    for words in (
        "# wine", "`beta_vae`", "`Distortion() + 4 Rate()`", "elbo -12.5", "on 10 items", "**partly**", "0.60 to 0.80",
        "ab" * 32, "90 trained on, 10 held out", "40 steps, 1m15s, seed 3", "vaekit 0.1.0", "Synthetic rows",
        "100 of them in coded form", "train.reference=false", "vaekit.open", "A likely item is not a usual one",
    ):  # fmt: skip
        assert words in text, words
    assert "somebody" not in text and "secret" not in text
    assert "no rows" in model_card.written(FACTS, DATA) and "Second stage" not in text
    assert "Second stage" in model_card.written({**FACTS, "prior": "flow"}, DATA)


def test_a_collapse_is_among_the_limits() -> None:
    dead = {**FACTS, "metrics": {"active_units": 0}}
    assert "collapsed" in model_card.written(dead, DATA) and "collapsed" not in model_card.written(
        FACTS, DATA
    )
    unused = {**FACTS, "verdict": [{"what": "latent used", "answer": "no", "says": ""}]}
    assert "collapsed" in model_card.written(unused, DATA)


@pytest.mark.parametrize(
    "name", ["a\n---\nlicense: mit\n# x", "<script>alert(1)</script>", "`|[x](y)", "a: b #c", "---", "类别"]
)
def test_names_from_anywhere_stay_names(name) -> None:
    facts = {
        **FACTS,
        "name": name,
        "preset": name,
        "objective": name,
        "versions": {name: name},
        "prior": name,
    }
    text = model_card.written(facts, {**DATA, "kind": name, "likelihood": name, "fingerprint": name})
    header = model_card.front(text)
    assert header["license"] == "unknown" and header["library_name"] == "vaekit" and name in header["tags"]
    body = text.split("\n---\n", 1)[1] if text.count("\n---\n") == 1 else text[text.rindex("\n---\n") :]
    assert "<script" not in body.replace(r"\<", "") or "`" in body
    headings = [line for line in text.splitlines() if line.startswith("# ")]
    assert len(headings) == 1


def test_nothing_known_is_a_card_too() -> None:
    text = model_card.written({}, {})
    assert model_card.front(text)["library_name"] == "vaekit" and "not evaluated yet" in text


def test_a_licence_is_put_in_and_nothing_else_changes() -> None:
    text = model_card.written(FACTS, DATA)
    again = model_card.licensed(text, "cc-by-4.0")
    assert model_card.front(again)["license"] == "cc-by-4.0"
    assert again.replace("license: cc-by-4.0", "license: unknown") == text
    for license in ("", "unknown", "MIT License", "x\ntags: []", "-"):
        with pytest.raises(UsageError, match="licence"):
            model_card.licensed(text, license)
    for broken in ("no card", "---\n[\n---\n", "---\n- a\n---\n"):
        with pytest.raises(FileError, match="front matter"):
            model_card.front(broken)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for place in ("vaekit.fitting", "vaekit.launch", "vaekit.second_stage"):
            patch.setattr(f"{place}.write_report", lambda path: files.write(path / "report.html", ""))
        rows = np.random.default_rng(0).normal(size=(80, 3))
        quick = dict(steps=6, batch_size=16, latent=2, threads=1, evaluate_every=3, quiet=True)
        found = vaekit.fit(rows, out=tmp_path_factory.mktemp("card") / "run", **quick)
        before = (found.path / "model" / "README.md").read_text()
        found.fit_prior(rows, "mixture", components=2, quiet=True)
        yield found, before, (found.path / "model" / "README.md").read_text()


def test_a_run_has_its_card_and_the_manifest_covers_it(run) -> None:
    found, before, after = run
    place = found.path / "model"
    assert files.check(place) and "README.md" in files.read_json(place / files.MANIFEST)["files"]
    for text in (before, after):
        assert yaml.safe_load(text.split("---")[1])["license"] == "unknown"
        assert "80 of them in coded form" in text and "| samples |" in text
    assert "Second stage" in after and "Second stage" not in before
    rate = json.loads((found.path / "run.json").read_text())["metrics"]["rate"]
    assert f"rate {rate:.3g}" in after and found.facts["verdict"]


def test_with_another_card_the_weights_are_on_the_disk_before_the_manifest_says_so(
    run, tmp_path, monkeypatch
) -> None:
    import os
    import shutil

    place, flushed, own = shutil.copytree(run[0].path / "model", tmp_path / "model"), set(), os.fsync
    monkeypatch.setattr("os.fsync", lambda file: (flushed.add(os.fstat(file).st_ino), own(file)))
    persistence.describe(place, "new card")
    assert {file.stat().st_ino for file in place.iterdir()} <= flushed


def test_another_card_leaves_the_model_as_it_is(run, tmp_path) -> None:
    import shutil

    place = shutil.copytree(run[0].path / "model", tmp_path / "model")
    before = files.hashes(place)
    persistence.describe(place, "new card")
    assert (place / "README.md").read_text() == "new card" and files.check(place)
    assert {n: h for n, h in files.hashes(place).items() if n != "README.md"} == {
        n: h for n, h in before.items() if n != "README.md"
    }
    (place / "kind.json").write_text("{}")
    with pytest.raises(FileError):
        persistence.describe(place, "x")
