"""The report of tables: what is gathered holds against oracles, and no table can break or abuse the page."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import ndtr

from vaekit import files, presets
from vaekit.data import Items, TableSource, build, card, detect
from vaekit.evaluation.tables import compare
from vaekit.operations import reconstruct
from vaekit.report import evidence, gather, write_report
from vaekit.report.evidence_tables import WORST, _cell, sampled
from vaekit.report.histograms import BINS, bins
from vaekit.report.parts import Parts
from vaekit.report.view import View, values
from vaekit.report.words import reasons, types
from vaekit.training import fit

from .test_report import ALL, PAYLOADS, check_harmless, page_of, records, write_run

TABLE = {"columns", "pairs", "missing"} | ALL - {"samples"}


def mixed(n: int = 400) -> pd.DataFrame:
    """Numbers, a point mass, a date, a time span, categories and holes; size and shape depend on the group."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, n)
    frame = pd.DataFrame({
        "size": rng.normal(size=n) + 4 * group,
        "gain": np.where(rng.random(n) < 0.7, 0.0, rng.gamma(2.0, 100.0, n)),
        "count": rng.integers(0, 5, n),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
        "wait": pd.to_timedelta(rng.integers(0, 10_000, n), unit="s"),
        "group": np.array(["a", "b", "c"])[group],
        "yes": rng.random(n) < 0.3,
        "same": 1,
    })  # fmt: skip
    frame.loc[rng.random(n) < 0.2, "size"] = np.nan
    frame.loc[rng.random(n) < 0.1, "group"] = None
    return frame


def made(
    frame: pd.DataFrame, steps: int = 60, labels: tuple[str, ...] = (), preset: str = "vae", latent: int = 4
):
    torch.manual_seed(0)
    source = TableSource(frame, label_columns=labels)
    kind, why = detect(source, conditional=preset == "conditional_vae")
    items = build(source, kind)
    train, heldout = (
        items.subset(torch.arange(*ends))
        for ends in ((0, len(items) * 3 // 4), (len(items) * 3 // 4, len(items)))
    )
    model, objective = getattr(presets, preset)(kind, latent=latent)
    return fit(model, objective, train, steps=steps), kind, train, heldout, card(source, kind, items, why)


def write(path, found, facts=None):
    path = write_run(path, found, records())
    if facts is not None:
        files.write_json(path / "data_card.json", facts)
    write_report(path)
    return page_of(path), {p.stem for p in (path / "plots").glob("*.png")}


@pytest.fixture(scope="module")
def trained():
    return made(mixed())


@pytest.fixture(scope="module")
def found(trained):
    return gather(*trained[:4])


def frame_of(kind, items):
    batch = items.batch(torch.arange(len(items)))
    return kind.decode(values(batch), batch.c)


# ---------------------------------------------------------------------- evidence


def test_evidence_of_a_table_is_plain_small_and_the_same_each_time(trained, found):
    again = gather(*trained[:4])
    assert str(found["form"]) == "table" and found.keys() == again.keys()
    for name, array in found.items():
        assert isinstance(array, np.ndarray) and array.dtype.kind in "biufU", name
        np.testing.assert_array_equal(array, again[name], err_msg=name)
    assert sum(array.nbytes for array in found.values()) < 3e6
    assert not np.array_equal(gather(*trained[:4], seed=1)["row_cells"], found["row_cells"])


def test_constant_columns_are_left_out_and_the_others_have_their_types(found):
    assert found["table_names"].tolist() == ["size", "gain", "count", "day", "wait", "group", "yes"]
    assert found["table_types"].tolist()[3:] == ["date", "time span", "category", "boolean"]


def test_errors_are_those_of_compare_and_the_floor_that_of_training_rows(trained, found):
    _, kind, train, heldout, _ = trained
    real, floor = (
        frame_of(kind, heldout),
        frame_of(kind, train.subset(torch.linspace(0, 299, 256).round().long())),  # as many as are drawn
    )
    plain = [name for name in found["table_names"] if name != "wait"]
    expected = compare(real[plain], floor[plain])
    place = {name: i for i, name in enumerate(found["table_names"].tolist())}
    for name in plain:
        assert found["table_floor"][place[name]] == pytest.approx(expected.columns[name])
    for (a, b), error in zip(found["pair_worst"], found["pair_floor"], strict=True):
        pair = (str(found["table_names"][a]), str(found["table_names"][b]))
        if "wait" not in pair:
            assert error == pytest.approx(expected.pairs[pair])
    np.testing.assert_allclose(found["hole_real"][place["size"]], real["size"].isna().mean())
    np.testing.assert_allclose(found["hole_train"][place["group"]], floor["group"].isna().mean())


def test_the_worst_come_first_and_the_matrix_says_the_same(found):
    shape = found["table_shape"][found["column_index"]]
    assert (np.diff(shape) <= 0).all() and shape[0] == found["table_shape"].max()
    place = {column: i for i, column in enumerate(found["pair_columns"].tolist())}
    a, b = found["pair_worst"][0]
    assert found["pair_matrix"][place[a], place[b]] == pytest.approx(found["pair_error"][0], rel=1e-6)
    upper = found["pair_matrix"][np.triu_indices(7, 1)]
    assert upper.mean() == pytest.approx(found["pair_mean"][0], rel=1e-6)


def test_time_spans_are_compared_as_numbers(trained):
    """As categories nearly every span would be a category of its own, and the error of any sample near 1."""
    _, kind, train, heldout, _ = trained
    drawn = frame_of(kind, train.subset(torch.arange(100)))
    arrays = sampled(kind, frame_of(kind, heldout), drawn, drawn)
    assert arrays["table_shape"][4] < 0.3
    np.testing.assert_array_equal(arrays["table_shape"], arrays["table_floor"])
    np.testing.assert_array_equal(arrays["pair_error"], arrays["pair_floor"])


def test_histograms_hold_every_cell(trained, found):
    _, kind, _, heldout, _ = trained
    real = frame_of(kind, heldout)
    for i, place in enumerate(found["column_index"]):
        for part in ("real", "sampled"):
            assert np.nansum(found[f"column_{part}"][i]) == pytest.approx(1)
        name = str(found["table_names"][place])
        if name == "yes":
            labels = found["column_labels"][i][:2].tolist()
            shares = [(real["yes"] == (label == "True")).mean() for label in labels]
            np.testing.assert_allclose(found["column_real"][i][:2], shares)
        if name == "count":
            np.testing.assert_allclose(
                found["column_real"][i][:5], [(real["count"] == k).mean() for k in range(5)]
            )
        if name == "day":
            assert found["column_tick"][i][0] >= "2024-01-01"


@pytest.mark.parametrize("grid", [0.0, 1.0, 0.01])
def test_bins_of_a_grid_hold_equally_many_of_its_points(grid):
    real = np.random.default_rng(0).gamma(2.0, 30.0, 2000)
    real = real if grid == 0 else np.round(real / grid) * grid
    edges = bins(real, grid)
    assert (
        len(edges) <= BINS + 1 and edges[0] < np.quantile(real, 0.01) and edges[-1] > np.quantile(real, 0.99)
    )
    if grid:
        width = np.diff(edges) / grid
        np.testing.assert_allclose(width, width.round().astype(int)[0], rtol=1e-6)
    assert len(bins(np.full(5, 3.0), grid)) >= 2


def test_reconstruction_is_held_against_a_constant_guess(trained, found):
    model, kind, _, heldout, _ = trained
    batch = heldout.batch(torch.arange(100))
    rebuilt = reconstruct(model, batch.x, mask=batch.mask)
    real = frame_of(kind, heldout)
    rebuilt[:, Parts(kind).bit["size"]] = 1.0
    guess = kind.decode(rebuilt)
    there = real["size"].notna()
    gone = (real["size"] - guess["size"])[there].abs().mean()
    spread = (real["size"] - real["size"].median())[there].abs().mean()
    scores = dict(zip(found["rebuilt_index"].tolist(), found["rebuilt_score"], strict=True))
    base = dict(zip(found["rebuilt_index"].tolist(), found["rebuilt_base"], strict=True))
    assert scores[0] == pytest.approx(1 - gone / spread)
    assert scores[6] == pytest.approx((real["yes"] == guess["yes"]).mean())
    assert base[6] == pytest.approx(real["yes"].value_counts(normalize=True).max()) and base[0] == 0


def test_changes_are_distances_of_what_the_two_ends_give():
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=300), "y": ["a", "b", "b"] * 100})
    model, kind, train, heldout, _ = made(frame, steps=30, latent=1)
    found = gather(model, kind, train, heldout)
    ends = torch.tensor([[-3.0], [3.0]])
    px = model.decode(ends)
    score = px.parts["numbers"].mean[:, 0].detach().numpy()
    chance = next(p for n, p in px.parts.items() if n != "numbers").logits[:, 0].softmax(1).detach().numpy()
    moved = dict(zip(found["change_index"].tolist(), found["change_size"][0], strict=True))
    assert moved[0] == pytest.approx(2 * ndtr(abs(score[1] - score[0]) / 2) - 1, abs=1e-4)
    assert moved[1] == pytest.approx(np.abs(chance[0] - chance[1]).sum() / 2, abs=1e-4)
    text = dict(zip(found["change_index"].tolist(), found["change_text"][0], strict=True))
    assert text[0] == ("↑" if score[1] > score[0] else "↓")
    assert text[1] == "ab"[int((chance[1] - chance[0]).argmax())]


def test_rows_are_shown_as_they_were_written(found):
    assert found["row_cells"].shape == (8, 8) and found["row_names"][-1] == "same"
    days = found["row_cells"][:, found["row_names"].tolist().index("day")]
    assert all(len(day) == 10 and day.startswith("2024-") for day in days)
    assert (_cell(None), _cell(np.nan), _cell(3.14159), _cell("x" * 30)) == ("", "", "3.142", "x" * 23 + "…")


# ---------------------------------------------------------------------- copies


def test_distances_leave_out_what_has_no_meaning():
    """Whatever a score says where the cell is empty or a point mass, the features are the same."""
    frame = mixed()
    source = TableSource(frame)
    kind, _ = detect(source)
    parts = Parts(kind)
    x = values(Items(kind.store(source), kind).batch(torch.arange(len(frame))))
    other = x.clone()
    other[torch.tensor(frame["size"].isna().tolist()), parts.score["size"]] = 7.0
    other[torch.tensor((frame["gain"] == 0).tolist()), parts.score["gain"]] = 7.0
    other[torch.tensor(frame["group"].isna().tolist()), parts.head["group"]] = 2.0
    torch.testing.assert_close(parts.features(x), parts.features(other), rtol=0, atol=0)
    assert View(kind).compared(x).shape == (400, len(parts.scored) + 2 + sum(c.levels for c in parts.headed))
    flipped = x[:1].clone()
    flipped[:, parts.head["yes"]] = 1 - flipped[:, parts.head["yes"]]
    assert (parts.features(x[:1]) - parts.features(flipped)).norm() == pytest.approx(1)


def test_sampled_rows_that_repeat_training_rows_are_found(trained, monkeypatch):
    model, kind, train, heldout, _ = trained
    x = values(train.batch(torch.arange(len(train))))
    monkeypatch.setattr(evidence, "sample", lambda model, n, c, **_: x[torch.arange(n) % len(x)])
    found = gather(model, kind, train, heldout)
    assert found["copy_sample_distance"].max() == 0 and found["copy_rate"][0] == 1


# ---------------------------------------------------------------------- odd tables


def test_the_page_of_a_table(trained, found, tmp_path):
    page, drawn = write(tmp_path / "mixed", found, trained[4])
    check_harmless(page)
    assert drawn == TABLE
    for words in (
        "in the mean over 7 columns", "over all pairs of 7 columns", "Reconstruction by column", "Missing cells",
        "New rows drawn from the model", "Copy rate", " to 2024-", "3 values", "% empty", "time span",
    ):  # fmt: skip
        assert words in page.text, words
    assert "likelihood" not in page.text and "The score is" not in page.text
    assert (
        page.text.count("whole numbers") == 2
    )  # of count and gain or wait: beside the column, not once more below


def test_reasons_of_columns_stand_beside_them_only():
    column = {"name": "a", "type": "integer", "why": "w", "low": 1, "high": 20_000, "holes": 0.25}
    facts = {
        "types": [column | {"role": "given"}] * 70,
        "reasons": ["a: integer, w.", "the model is conditioned on a."],
    }
    assert reasons(facts) == ["the model is conditioned on a."]
    shown = types(facts)
    assert shown["rows"][0] == ("a", "integer, given", "1 to 20 000, 25 % empty", "w")
    assert (len(shown["rows"]), shown["more"]) == (60, 10)
    assert types({"types": ["x", 3]}) == {"rows": [], "more": 0} == types({"types": 3})


@pytest.mark.parametrize("name", ["number", "category", "flag"])
def test_a_table_of_one_column(name, tmp_path):
    rng = np.random.default_rng(0)
    cells = {
        "number": rng.normal(size=60),
        "category": rng.choice(["u", "v"], 60),
        "flag": rng.random(60) < 0.5,
    }
    model, kind, train, heldout, facts = made(pd.DataFrame({"only": cells[name]}), steps=5, latent=1)
    page, drawn = write(tmp_path / "one", gather(model, kind, train, heldout), facts)
    assert drawn == TABLE - {"pairs", "missing"}
    assert "pairs of" not in page.text


def test_a_table_of_two_parts_is_no_plane(tmp_path):
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "b": np.arange(60) % 7 * 0.37})
    found = gather(*made(frame, steps=5, latent=2)[:4])
    page, drawn = write(tmp_path / "two", found)
    assert str(found["form"]) == "table" and drawn == TABLE - {"missing"}
    assert "The bar is the error" in page.text


def test_a_wide_table_has_a_bounded_report(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 200)), columns=[f"c{i}" for i in range(200)])
    frame.iloc[:, ::2] = frame.iloc[:, ::2].mask(rng.random((120, 100)) < 0.3)
    model, kind, train, heldout, facts = made(frame, steps=5)
    found = gather(model, kind, train, heldout)
    assert found["pair_matrix"].shape == (30, 30) and len(found["pair_compared"]) == 60
    assert len(found["column_index"]) == WORST and found["change_size"].shape[1] == 20
    page, drawn = write(tmp_path / "wide", found, facts)
    assert drawn == TABLE and "140 more columns" in page.text and "188 more columns" in page.text
    assert "over all pairs of 60 of 200 columns" in page.text
    assert (tmp_path / "wide" / "report.html").stat().st_size < 2e6


def test_empty_cells_everywhere(tmp_path):
    rng = np.random.default_rng(0)
    frame = mixed(200).drop(columns="same").astype(object).mask(rng.random((200, 7)) < 0.6)
    frame["never"] = None
    frame = frame.infer_objects()
    model, kind, train, heldout, facts = made(frame, steps=10)
    page, drawn = write(tmp_path / "holes", gather(model, kind, train, heldout), facts)
    assert drawn == TABLE and "never" in page.text


def test_a_conditional_table_is_sampled_with_conditions_as_in_training(tmp_path):
    frame = mixed(800)
    model, kind, train, heldout, facts = made(frame, 20, ("group", "yes"), "conditional_vae")
    found = gather(model, kind, train, heldout)
    names = found["table_names"].tolist()
    i = found["column_index"].tolist().index(names.index("yes"))
    labels = found["column_labels"][i].tolist()
    assert found["column_sampled"][i][labels.index("True")] == pytest.approx(frame["yes"].mean(), abs=0.12)
    assert not {names.index("yes"), names.index("group")} & set(found["change_index"].tolist())
    assert not {names.index("yes"), names.index("group")} & set(found["rebuilt_index"].tolist())
    page, drawn = write(tmp_path / "given", found, facts)
    assert drawn == TABLE and "boolean, given" in page.text
    assert found["label_names"].tolist() == ["a", "b", "c"] and len(found["latent_label"]) == len(heldout)


def test_hostile_names_and_cells_stay_text(tmp_path):
    rng = np.random.default_rng(0)
    names = [*PAYLOADS, "n" * 300]
    frame = pd.DataFrame(
        {name: rng.choice(PAYLOADS, 80) if i % 2 else rng.normal(size=80) for i, name in enumerate(names)}
    )
    model, kind, train, heldout, facts = made(frame, steps=5)
    page, drawn = write(tmp_path / "hostile", gather(model, kind, train, heldout), facts)
    check_harmless(page)
    assert drawn == TABLE - {"missing"}
    assert "<script>alert(1)</script>" in page.text and "{{ 7 * 7 }}" in page.text


def test_a_table_without_samples(tmp_path):
    model, kind, train, heldout, facts = made(mixed(100), steps=5, preset="autoencoder")
    found = gather(model, kind, train, heldout)
    page, drawn = write(tmp_path / "plain", found, facts)
    assert drawn == {"loss", "reconstructions", "traversals", "latent"}
    assert "no prior to draw from" in page.text


def test_evidence_of_another_version_leaves_a_tables_pictures_out(found, tmp_path):
    gone = ("table_names", "pair_error", "hole_train", "row_names", "table_floor")
    _, drawn = write(tmp_path / "old", {name: array for name, array in found.items() if name not in gone})
    assert drawn == {"loss", "latent", "kl"}
