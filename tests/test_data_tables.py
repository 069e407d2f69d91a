"""Tables: cells to parts and back, masks, densities, bad input, conditions, recipes, and every preset on them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaekit import presets
from vaekit.data import Items, read
from vaekit.data.columns import Dropped, Number
from vaekit.data.detect_table import as_table, detect_table
from vaekit.data.loaded import Source, TableSource
from vaekit.distributions import Noise
from vaekit.errors import DataError, UsageError
from vaekit.evaluation.likelihood import evaluate
from vaekit.operations import sample
from vaekit.recipes import build, recipe
from vaekit.training import train

ADULT = Path(os.environ.get("VAEKIT_DATA", "no data")) / "adult" / "adult.csv.gz"


def kind_of(frame, **options):
    return detect_table(TableSource(frame), **options)[0]


def mixed(rows=400, seed=0):
    """A frame of every type, with holes, whose columns depend on each other."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "amount": np.where(rng.random(rows) < 0.92, 0.0, np.exp(3 + z)),
            "height": np.where(rng.random(rows) < 0.1, np.nan, 170 + 8 * z),
            "age": rng.integers(18, 90, rows),
            "city": np.where(rng.random(rows) < 0.05, None, np.where(z > 0, "Ulm", "Åbo, \"x\"")),
            "grade": pd.Categorical(np.where(z > 0.5, "hi", "lo"), ["lo", "mid", "hi"], ordered=True),
            "member": rng.random(rows) < 0.3,
            "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D"),
        }
    )  # fmt: skip


# ---------------------------------------------------------------------- round trips of made schemas


def _whole(rng, n, low, high, dtype):
    return pd.Series(rng.integers(low, high, n), dtype=dtype)


def _holed(rng, series, share=0.3):
    return series.mask(pd.Series(rng.random(len(series)) < share))


def _dates(rng, n, unit, most):
    return pd.Series(pd.to_datetime("2021-05-04") + pd.to_timedelta(rng.integers(0, most, n), unit=unit))


WORDS = np.array(["a", "Ünï", 'say "x"', "x, y", " z", "1.5", "日本"], dtype=object)
MADE = {
    "int8": lambda r, n: _whole(r, n, -100, 100, "int8"),
    "int64": lambda r, n: _whole(r, n, -(10**5), 10**5, "int64"),
    "wide": lambda r, n: _whole(r, n, -(10**12), 10**12, "int64"),
    "Int64": lambda r, n: _holed(r, _whole(r, n, 0, 50, "Int64")),
    "uint8": lambda r, n: _whole(r, n, 0, 255, "uint8"),
    "continuum": lambda r, n: pd.Series(r.normal(3, 10.0 ** r.integers(-12, 12), n)),
    "decimals": lambda r, n: pd.Series(np.round(r.normal(size=n), 2)),
    "heavy": lambda r, n: pd.Series(r.standard_cauchy(n)),
    "float32": lambda r, n: pd.Series(r.normal(size=n).astype("float32")),
    "zeros": lambda r, n: pd.Series(np.where(r.random(n) < 0.92, 0.0, r.normal(size=n))),
    "holes": lambda r, n: _holed(r, pd.Series(r.normal(size=n))),
    "bool": lambda r, n: pd.Series(r.random(n) < 0.4),
    "boolean": lambda r, n: _holed(r, pd.Series(r.random(n) < 0.4, dtype="boolean")),
    "truths": lambda r, n: pd.Series(r.choice(np.array([True, False, None], dtype=object), n), dtype=object),
    "str": lambda r, n: pd.Series(r.choice(WORDS, n)).mask(pd.Series(r.random(n) < 0.2)),
    "category": lambda r, n: pd.Series(pd.Categorical.from_codes(r.integers(-1, 3, n), ["x", "unused", "y"])),
    "ordered": lambda r, n: pd.Series(
        pd.Categorical.from_codes(r.integers(0, 2, n), ["lo", "hi", "never"], ordered=True)
    ),
    "days": lambda r, n: _dates(r, n, "D", 3000),
    "seconds": lambda r, n: _dates(r, n, "s", 10**5).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"),
    "microseconds": lambda r, n: _holed(r, _dates(r, n, "us", 10**5)),
    "spans": lambda r, n: pd.Series(pd.to_timedelta(r.integers(0, 10**4, n), unit="s")),
    "constant": lambda r, n: pd.Series([7.5] * n),
    "word": lambda r, n: pd.Series(["only"] * n),
    "empty": lambda r, n: pd.Series([np.nan] * n),
}  # fmt: skip


def made(names, rows, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({f"{i}: {name}": MADE[name](rng, rows) for i, name in enumerate(names)})


def assert_same(back, frame, kind):
    shown = [
        column.name for column in kind.columns if not isinstance(column, Dropped) or column.word == "empty"
    ]
    assert list(back) == shown and len(back) == len(frame)
    for name in shown:
        series, found = frame[name], back[name]
        if series.notna().any():  # of an empty column of categories nothing is kept
            assert found.dtype == series.dtype, name
        assert (found.isna() == series.isna()).all(), name
        if series.dtype.kind == "f" or name.endswith("wide"):
            gap = (found.astype(float) - series.astype(float)).abs().max()
            assert not gap > 1e-6 * (series.max() - series.min()), (name, gap)
        else:
            assert found.dropna().tolist() == series.dropna().tolist(), name


schemas = given(
    names=st.lists(st.sampled_from(sorted(MADE)), min_size=1, max_size=5),
    rows=st.sampled_from([2, 3, 5, 12, 40, 150]),
    seed=st.integers(0, 2**32 - 1),
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@schemas
def test_a_table_comes_back_as_it_was(names, rows, seed):
    frame = made(names, rows, seed)
    try:
        kind = kind_of(frame)
    except DataError as error:
        assert error.code == "E208"
        return
    raw = kind.store(TableSource(frame))
    assert torch.isfinite(raw).all()
    batch = kind.encode(raw)
    assert_same(kind.decode(batch.x), frame, kind)
    assert_same(kind.decode(kind.encode(raw, noise=Noise(0, "data", seed % 97)).x), frame, kind)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@schemas
def test_what_is_sampled_could_have_been_in_the_table(names, rows, seed):
    frame = made(names, rows, seed)
    try:
        kind = kind_of(frame)
    except DataError:
        return
    torch.manual_seed(seed % 1000)
    model, _ = presets.vae(kind, latent=2)
    drawn = kind.decode(sample(model.eval(), 64, seed=seed % 1000))
    assert len(drawn) == 64 and list(drawn) == [column.name for column in kind.shown]
    for name in drawn:
        series, found = frame[name], drawn[name]
        assert found.dtype == series.dtype, name
        assert series.isna().any() or found.notna().all(), name
        if isinstance(series.dtype, pd.CategoricalDtype) or series.dtype == object or series.dtype == "str":
            known = series.cat.categories if hasattr(series, "cat") else series.dropna().unique()
            assert set(found.dropna()) <= set(known), name
        elif series.notna().any():
            assert found.dropna().between(series.min(), series.max()).all(), name


def test_no_rows_are_no_rows():
    kind = kind_of(mixed())
    empty = kind.decode(torch.zeros(0, *kind.shape))
    assert empty.shape == (0, 7) and empty["age"].dtype == "int64"


# ---------------------------------------------------------------------- masks and densities


@pytest.fixture(scope="module")
def table():
    frame = mixed()
    kind = kind_of(frame)
    return frame, kind, kind.store(frame)


def test_a_hole_counts_nowhere_but_in_its_bit(table):
    frame, kind, raw = table
    batch = kind.encode(raw)
    at = kind.parts.index
    hole = torch.tensor(frame["height"].isna().tolist())
    assert hole.any() and torch.equal(batch.mask[:, at("height")], ~hole)
    assert torch.equal(batch.x[:, at("height is there")].bool(), ~hole)
    assert batch.mask[:, at("height is there")].all() and (batch.x[hole, at("height")] == 0).all()
    assert torch.equal(batch.mask[:, at("city")], torch.tensor(frame["city"].notna().tolist()))
    zero = torch.tensor((frame["amount"] == 0).tolist())
    assert torch.equal(batch.mask[:, at("amount")], ~zero) and batch.mask[:, at("amount: which value")].all()


def test_what_a_masked_cell_holds_changes_nothing(table):
    _, kind, raw = table
    batch = kind.encode(raw[:64])
    torch.manual_seed(0)
    model, objective = presets.vae(kind, latent=3)
    x = batch.x.clone().requires_grad_()
    scored = [i for i, name in enumerate(kind.parts) if name in ("amount", "height")]
    out = model.eval()(x, mask=batch.mask, noise=Noise(0, "test"))
    (gradient,) = torch.autograd.grad(out.distortion.sum(), x)
    assert (gradient[:, scored][~batch.mask[:, scored]] == 0).all()
    assert (gradient[:, scored][batch.mask[:, scored]] != 0).any()
    other = torch.where(batch.mask, batch.x, batch.x + 1)
    again = model(
        other.where(torch.tensor(range(x.shape[1])) < 3, batch.x), mask=batch.mask, noise=Noise(0, "test")
    )
    assert torch.equal(again.distortion, out.distortion)
    ones = model(batch.x, mask=torch.ones_like(batch.mask), noise=Noise(0, "test"))
    none = model(batch.x, noise=Noise(0, "test"))
    assert torch.allclose(ones.distortion, none.distortion)


def test_a_row_of_holes_alone_is_finite():
    frame = mixed()[["height", "city"]]
    kind = kind_of(frame)
    items = Items(kind.store(pd.DataFrame({"height": [np.nan, 170.0], "city": [None, "Ulm"]})), kind)
    assert np.isfinite(evaluate(presets.vae(kind, latent=2).model.eval(), items)["elbo"])


def test_a_row_does_not_depend_on_the_rows_beside_it(table):
    frame, kind, raw = table
    whole = kind.encode(raw)
    alone = torch.cat([kind.encode(raw[i : i + 1]).x for i in range(20)])
    assert torch.equal(whole.x[:20], alone)
    assert torch.equal(kind.encode(raw.flip(0)).x.flip(0), whole.x)
    drawn = kind.encode(raw, noise=Noise(0, "data", 1)).x
    assert not torch.equal(drawn, whole.x) and torch.equal(
        drawn, kind.encode(raw, noise=Noise(0, "data", 1)).x
    )


def test_the_volume_is_that_of_the_map(table):
    _, kind, raw = table
    batch = kind.encode(raw[:50])
    expected, smooth = np.zeros(50), np.ones(50, dtype=bool)
    for i, column in enumerate(
        column for column in kind.columns if isinstance(column, Number) and column.scored
    ):
        score = batch.x[:, i].double().numpy()
        first, last = column.scores[0], column.scores[-1]
        beyond = np.maximum(first - score, score - last)
        assert beyond[batch.mask[:, i]].max() < 1e-6  # a rounding
        smooth &= (
            np.abs(score[:, None] - np.array(column.scores)).min(1) > 1e-5
        )  # no knot, which has two slopes
        score = score.clip(first + 1e-5, last - 1e-5)
        value = np.interp(score, column.scores, column.knots)
        step = 1e-7 * (column.high - column.low)
        ahead = np.interp(value + step, column.knots, column.scores)
        behind = np.interp(value - step, column.knots, column.scores)
        expected += np.where(batch.mask[:, i], np.log((ahead - behind).clip(1e-300) / (2 * step)), 0)
    assert smooth.mean() > 0.8
    found = kind.log_volume(batch).numpy()
    np.testing.assert_allclose(found[smooth], expected[smooth], rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------------- point masses


def test_point_masses_are_learnt_and_other_values_stay_scorable():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": np.where(rng.random(800) < 0.92, 0.0, np.exp(rng.normal(size=800)))})
    frame["kids"] = rng.choice([0, 1, 2, 5], 800, p=[0.5, 0.3, 0.15, 0.05])
    kind = kind_of(frame)
    assert kind.parts == ["x", "kids", "x: which value", "kids: which value"]
    items = Items(kind.store(frame), kind)
    torch.manual_seed(0)
    model, objective = presets.vae(kind, latent=2)
    for _ in train(model, objective, items, steps=150, batch_size=200, lr=3e-3):
        pass
    model.eval()
    drawn = kind.decode(sample(model, 4000))
    assert (drawn["x"] == 0).mean() == pytest.approx((frame["x"] == 0).mean(), abs=0.04)
    assert (drawn["kids"] == 1).mean() == pytest.approx((frame["kids"] == 1).mean(), abs=0.06)
    assert (drawn["x"].where(drawn["x"] != 0).dropna() > 0).all()

    def nats(kids):
        rows = Items(kind.store(pd.DataFrame({"x": [0.0], "kids": [kids]})), kind)
        return -evaluate(model, rows)["elbo"]

    assert nats(3) > nats(5) > nats(0) and np.isfinite(nats(4000))


# ---------------------------------------------------------------------- bad input


def refused(kind, frame, code, *said):
    with pytest.raises(DataError) as error:
        kind.store(frame)
    assert error.value.code == code
    for words in said:
        assert words in f"{error.value}", words


def test_what_a_model_cannot_take_is_named(table):
    frame, kind, _ = table
    few = frame.head(5)
    refused(kind, few.drop(columns=["age", "day"]), "E216", "2 of 7 columns are missing: age, day")
    refused(kind, few.rename(columns={"age": "agee"}), "E216", "rename agee to age")
    refused(kind, few.assign(height=["1", "2", "x", "4", "5"]), "E216", "'height', row 2", "numbers", "'x'")
    refused(kind, few.assign(age=few["day"]), "E216", "'age', row 0", "numbers are expected")
    refused(kind, few.assign(day=few["age"]), "E216", "'day', row 0", "dates are expected")
    refused(kind, few.assign(day=["soon"] * 5), "E216", "'day', row 0", "'soon'")
    refused(
        kind, few.assign(city=["Ulm", "Ulmm", "Ulm", "Ulm", "q"]), "E217", "'city', row 1", "did you mean Ulm"
    )
    refused(kind, few.assign(height=[1.0, 2, 3, 1e308, 5]), "E203", "'height', row 3", "1e+308")
    refused(kind, np.zeros((3, 4)), "E216", "rows of 7 columns")
    with pytest.warns(UserWarning, match="left out: shoe"):
        assert torch.equal(kind.store(few.assign(shoe=1)), kind.store(few))
    assert torch.equal(kind.store(few[few.columns[::-1]]), kind.store(few))
    far = kind.encode(kind.store(few.assign(height=1e99)))
    assert torch.isfinite(far.x).all() and torch.isfinite(kind.log_volume(far)).all()


def test_what_makes_no_table_is_said(tmp_path):
    (tmp_path / "head.csv").write_text("a,b\n")
    with pytest.raises(DataError) as error:
        read(str(tmp_path / "head.csv"))
    assert error.value.code == "E202"
    twice = pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"])
    for code, wrong in (
        ("E219", lambda: read(twice)),
        ("E207", lambda: kind_of(pd.DataFrame({"a": [1.0]}))),
        ("E208", lambda: kind_of(pd.DataFrame({"a": [1.0] * 5, "b": [None] * 5}))),
        ("E214", lambda: detect_table(TableSource(pd.DataFrame({"a": [1.5, 2], "n": [None] * 2}), ("n",)))),
    ):
        with pytest.raises(DataError) as error:
            wrong()
        assert error.value.code == code
    for code, options in (("E103", {"likelihood": "bernoulli"}), ("E105", {"conditional": True})):
        with pytest.raises(UsageError) as usage:
            kind_of(mixed(20), **options)
        assert usage.value.code == code


def test_a_csv_is_read_as_the_training_table_was(tmp_path):
    (tmp_path / "train.csv").write_text("day,n\n" + "".join(f"{m}/25/2020,{m}.5\n" for m in range(1, 13)))
    (tmp_path / "new.csv").write_text("day,n\n3/4/2020,1.5\n5/6/2020,2.5\n")
    kind = detect_table(read(str(tmp_path / "train.csv")))[0]
    back = kind.decode(kind.encode(kind.store(read(str(tmp_path / "new.csv")))).x)
    assert back["day"].dt.strftime("%m-%d").tolist() == ["03-04", "05-06"]
    assert kind.written(back)["day"].tolist() == ["03/04/2020", "05/06/2020"]


def test_an_array_is_a_table_of_numbered_columns():
    values = np.random.default_rng(0).normal(size=(30, 3))
    kind, _ = detect_table(as_table(Source(values)))
    np.testing.assert_allclose(kind.decode(kind.encode(kind.store(values)).x), values, atol=1e-5)


# ---------------------------------------------------------------------- conditions


def test_conditions_hold_in_every_row():
    frame = mixed()
    names = ("city", "age", "day")
    kind, reasons = detect_table(TableSource(frame, names), conditional=True)
    assert kind.conditional and "conditioned on city, age, day" in " ".join(reasons)
    batch = kind.encode(kind.store(frame))
    back = kind.decode(batch.x, batch.c)
    assert batch.c.shape[1] == kind.condition_width
    for name in names:
        assert back[name].dropna().tolist() == frame[name].dropna().tolist()
        assert (back[name].isna() == frame[name].isna()).all()
    torch.manual_seed(0)
    model, _ = presets.conditional_vae(kind, latent=2)
    where = {"city": "Ulm", "age": 40, "day": "2024-02-03"}
    c = kind.conditions(50, where, Noise(0, "where"))
    drawn = kind.decode(sample(model.eval(), 50, c), c)
    assert (drawn["city"] == "Ulm").all() and (drawn["age"] == 40).all()
    assert (drawn["day"] == pd.Timestamp("2024-02-03")).all()
    c = kind.conditions(5000, None, Noise(0, "where"))
    drawn = kind.decode(sample(model, 5000, c), c)
    seen = set(map(tuple, frame[list(names)].astype(str).to_numpy()))
    assert set(map(tuple, drawn[list(names)].astype(str).to_numpy())) <= seen
    assert (drawn["city"] == "Ulm").mean() == pytest.approx((frame["city"] == "Ulm").mean(), abs=0.03)


def test_conditions_that_cannot_be_are_refused():
    kind, _ = detect_table(TableSource(mixed(), ("city", "age")), conditional=True)
    for where, said in (
        ({"cty": "Ulm"}, "did you mean city"), ({"height": 1}, "not conditioned on 'height'"),
        ({"city": "Rome"}, "'Rome' is none of its categories"), ({"age": 400}, "training had 18 to 89"),
        ({"age": "old"}, "numbers are expected, not 'old'"), ({"age": None}, "never empty"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said) as error:
            kind.conditions(3, where, Noise(0, "where"))
        assert error.value.code == "E103"


# ---------------------------------------------------------------------- recipes and presets


@pytest.mark.parametrize("conditional", [False, True])
def test_a_recipe_holds_all_of_it(conditional):
    frame = mixed().assign(name=[f"n{i}" for i in range(400)], none=np.nan)
    kind, _ = detect_table(TableSource(frame, ("city",)), conditional=conditional)
    again = build(json.loads(json.dumps(recipe(kind), allow_nan=False)))
    raw = kind.store(frame)
    assert torch.equal(again.store(frame), raw) and again.labels == kind.labels
    one, two = kind.encode(raw), again.encode(raw)
    assert torch.equal(one.x, two.x) and torch.equal(one.mask, two.mask)
    assert kind.decode(one.x, one.c).equals(again.decode(two.x, two.c))


@pytest.mark.parametrize(
    "name", ["vae", "conditional_vae", "sigma_vae", "beta_vae", "autoencoder", "free_bits_vae"]
)
def test_every_preset_takes_a_table(name):
    frame = mixed(200)
    conditional = name == "conditional_vae"
    kind, _ = detect_table(TableSource(frame, ("grade",) if conditional else ()), conditional=conditional)
    items = Items(kind.store(frame), kind)
    torch.manual_seed(0)
    model, objective = presets.PRESETS[name](kind, latent=3)
    losses = [float(p.loss) for p in train(model, objective, items, steps=30, batch_size=64)]
    assert np.isfinite(losses).all() and np.mean(losses[-5:]) < np.mean(losses[:5])
    found = evaluate(model.eval(), items, samples=0)
    assert np.isfinite(found["distortion"])
    if name != "autoencoder":
        c = kind.conditions(20, None, Noise(0, "where"))
        drawn = kind.decode(sample(model, 20, c), c)
        assert list(drawn) == list(frame) and (drawn.dtypes == frame.dtypes).all()


@pytest.mark.skipif(not ADULT.exists(), reason="the shared data are not here")
def test_adult_comes_back():
    source = read(str(ADULT))
    kind = detect_table(source)[0]
    back = kind.decode(kind.encode(kind.store(source)).x)
    exact = [column for column in source.frame]
    assert list(back) == exact and (back.dtypes == source.frame.dtypes).all()
    pd.testing.assert_frame_equal(back, source.frame)


def test_a_point_mass_on_a_grid_is_a_density_over_its_cell() -> None:
    """The same column in metres and in decimetres: its density differs by log 10, special values and others alike."""
    random = np.random.default_rng(0)
    whole = np.where(random.random(400) < 0.5, 30, random.integers(0, 1_000, 400))
    volumes = []
    for scale in (1, 10):
        kind, _ = detect_table(TableSource(pd.DataFrame({"x": whole / scale})))
        assert kind.columns[0].grid == 1 / scale and kind.columns[0].special == [30 / scale]
        items = kind.encode(kind.store(pd.DataFrame({"x": whole / scale})))
        volumes.append(kind.log_volume(items).numpy())
    assert np.allclose(volumes[1] - volumes[0], np.log(10), atol=1e-4)


def test_whole_numbers_in_hundreds_stay_in_hundreds() -> None:
    frame = pd.DataFrame({"income": np.random.default_rng(0).integers(10, 90, 300) * 100})
    kind, reasons = detect_table(TableSource(frame))
    assert kind.columns[0].grid == 100 and "steps of 100" in reasons[0] and kind.columns[0].word == "integer"
    made = kind.decode(sample(presets.vae(kind, latent=2).model, 500, seed=1))
    assert (made["income"] % 100 == 0).all() and made["income"].dtype == frame["income"].dtype


def test_one_bad_date_is_named_and_not_a_good_one(tmp_path) -> None:
    days = pd.date_range("2020-01-01", periods=40)
    train_ = pd.DataFrame({"day": days.strftime("%d.%m.%Y"), "x": range(40)})
    train_.assign(x=np.arange(40) % 7).to_csv(tmp_path / "a.csv", index=False)
    kind, _ = detect_table(read(tmp_path / "a.csv"))
    new = train_.assign(x=1)
    new.loc[4, "day"] = "2020-31-31"
    new.to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(
        DataError, match=r"'day', row 4: '2020-31-31' is no date; .* like 31\.12\.2024"
    ) as caught:
        kind.store(read(tmp_path / "b.csv"))
    assert caught.value.code == "E216" and "b.csv" in caught.value.where
    text = pd.DataFrame({"day": ["03.02.2020"], "x": [1]})  # words in training's form are dates
    assert kind.decode(kind.encode(kind.store(text)).x)["day"][0] == pd.Timestamp(2020, 2, 3)
