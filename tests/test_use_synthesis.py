"""New rows of a table: conditions against exact conditionals, constraints, blocks, the second stage by default."""

import itertools
import json
import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import integrate, special, stats
from torch import nn

import vaekit
from vaekit.bottlenecks import Variational
from vaekit.cli import main
from vaekit.conditional import Conditional
from vaekit.data import Table, TableSource, detect
from vaekit.data.columns import Category, Number
from vaekit.data.given import told_code
from vaekit.data.together import Together, found_together
from vaekit.data.wanted import spelled, wanted
from vaekit.distributions import Gaussian, Laplace, Noise, PerDimension, StudentT, draw
from vaekit.errors import UsageError
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.priors import StandardNormal
from vaekit.training import match_margins
from vaekit.uses.constraints import Inequality, Range, Unique, Watch, constraints
from vaekit.uses.synthesis import Synthesis, Weights

DAYS = 86_400_000_000_000
SHORT: dict[str, Any] = {"steps": 150, "evaluate_every": 50, "threads": 1, "quiet": True}


def number(name: str, low: float = -10.0, high: float = 10.0, **options: Any) -> Number:
    """A number whose score is the value itself."""
    chosen: dict[str, Any] = {
        "grid": 0.0,
        "special": [],
        "shares": [1.0],
        "holes": 0.0,
        "dtype": "float64",
        **options,
    }
    ends = [low - 1, high + 1]
    return Number(name=name, why="", knots=ends, scores=ends, low=low, high=high, **chosen)


def category(name: str, values: list[Any], **options: Any) -> Category:
    shares = options.pop("shares", [1 / len(values)] * len(values))
    return Category(name, "object", options.pop("holes", 0.0), "", values, shares, **options)


def linear(kind: Table, weights: Any, bias: Any, latent: int = 1) -> VAE:
    """A model whose parameters are a linear map of z ~ N(0, I)."""
    last = nn.Linear(latent, kind.family.size(kind.shape[0]))
    with torch.no_grad():
        last.weight.copy_(torch.as_tensor(weights, dtype=torch.float32).reshape(last.weight.shape))
        last.bias.copy_(torch.as_tensor(bias, dtype=torch.float32))
    head = Conditional(nn.Linear(kind.shape[0], 2 * latent), Gaussian())
    model = VAE(nn.Identity(), Variational(head, StandardNormal(latent)), Conditional(last, kind.family))
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def mixed() -> Table:
    """Every sort of column: a category, a rare one, a count with a point mass and holes, a number, a date."""
    return Table(
        [
            category("sex", ["f", "m"]),
            category("city", ["a", "b"], shares=[0.5, 0.3], rare=["c", "d"], rare_shares=[0.15, 0.05]),
            number("count", 0, 9, grid=1.0, special=[0.0, 3.0], shares=[0.4, 0.1, 0.5], holes=0.3),
            number("size"),
            number("day", 0, 9, grid=1.0, dtype="datetime64[ns]", unit=DAYS),
            category("grade", ["low", "mid", "high"], ordered=True),
        ],
        Gaussian(PerDimension((3,), initial=2.0)),
    )


# ---------------------------------------------------------------------- one column given z


CASES: list[dict[str, Any]] = [
    {"sex": "m"}, {"city": "a"}, {"city": "d"}, {"count": 3}, {"count": 4}, {"count": None}, {"count>=": 3},
    {"count<": 3}, {"count>": 2, "count<=": 5}, {"size>=": 1.5}, {"size<": -2, "size>=": -3}, {"day": "1970-01-04"},
    {"day>=": "1970-01-08"}, {"day<": "1970-01-02"}, {"grade>=": "mid"}, {"sex": "f", "size>": 0.0, "count>=": 0},
]  # fmt: skip


@pytest.mark.parametrize("where", CASES, ids=json.dumps)
def test_the_probability_of_a_condition_is_the_share_of_decoded_draws_that_fulfil_it(
    mixed: Table, where: dict[str, Any]
) -> None:
    """And rows that are drawn within it are distributed as those draws are that happen to be within it."""
    n = 20_000
    params = torch.randn(1, mixed.family.size(mixed.shape[0]), generator=torch.Generator().manual_seed(3))
    px: Any = mixed.family.requires_grad_(False)(params.expand(n, -1))  # type: ignore[attr-defined]
    parts = wanted(mixed, where)
    free = mixed.decode(draw(px, Noise(0, "free"))[0])
    held = np.ones(n, dtype=bool)
    for part in parts:
        held &= part.holds(part.column.codes(free[part.column.name]))
    log_mass = torch.stack([part.log_mass(mixed, px) for part in parts]).sum(0)
    chance = float(log_mass[0].exp())
    assert abs(held.mean() - chance) < 4.5 * math.sqrt(chance * (1 - chance) / n) + 1e-6
    x = draw(px, Noise(1, "within"))[0]
    for part in parts:
        x = part.settle(mixed, px, x, Noise(2, str(part)))
    within = mixed.decode(x)
    for column in mixed.columns:
        codes = column.codes(within[column.name])
        for part in parts:
            if part.column is column:
                codes = part.settled(codes)
                assert part.holds(codes).all()
        real = column.codes(free.loc[held, column.name])
        assert abs(np.isnan(codes).mean() - np.isnan(real).mean()) < 4.5 / math.sqrt(held.sum())
        if (~np.isnan(real)).sum() > 50:
            found = stats.ks_2samp(codes[~np.isnan(codes)], real[~np.isnan(real)])
            assert found.pvalue > 1e-5, column.name


@pytest.mark.parametrize("family", [Gaussian, Laplace, lambda scale: StudentT(3.0, scale)])
def test_ranges_far_out_in_the_tails_keep_their_digits(family: Callable[..., Any]) -> None:
    kind = Table([number("x", -60, 60)], family(PerDimension((1,), initial=1.0)))
    for loc, low, high in ((-4.0, 4.0, 5.0), (4.0, -5.0, -4.0), (0.0, -1.0, 2.0)):
        px: Any = kind.family.requires_grad_(False)(torch.full((2_000, 1), loc))  # type: ignore[attr-defined]
        (part,) = wanted(kind, {"x>=": low, "x<=": high})
        one: Any = px.parts["numbers"]
        scale = float(one.scale.flatten()[0])
        oracle = {"Normal": stats.norm, "Laplace": stats.laplace}.get(type(one).__name__, stats.t(3.0))
        a, b = (low - loc) / scale, (high - loc) / scale
        mass = oracle.sf(a) - oracle.sf(b) if a > 0 else oracle.cdf(b) - oracle.cdf(a)
        assert float(part.log_mass(kind, px)[0]) == pytest.approx(math.log(mass), rel=1e-6)
        x = part.settle(kind, px, torch.zeros(2_000, 1), Noise(0, "x"))[:, 0].double().numpy()
        assert x.min() >= low - 1e-5 and x.max() <= high + 1e-5
        t = (x - loc) / scale
        uniform = (oracle.sf(a) - oracle.sf(t)) / mass if a > 0 else (oracle.cdf(t) - oracle.cdf(a)) / mass
        assert stats.kstest(uniform, "uniform").pvalue > 1e-5


# ---------------------------------------------------------------------- conditions through z


def test_a_discrete_table_is_conditioned_as_quadrature_has_it() -> None:
    """p(b | a) = ∫ σ(v z) σ(w z) φ(z) dz / ∫ σ(w z) φ(z) dz."""
    kind = Table([category("a", [0, 1]), category("b", [0, 1])])
    model = linear(kind, [0, 2.5, 0, -1.5], [0, -2.0, 0, 0.7])
    both = lambda z: special.expit(2.5 * z - 2) * special.expit(-1.5 * z + 0.7) * stats.norm.pdf(z)  # noqa: E731
    alone = lambda z: special.expit(2.5 * z - 2) * stats.norm.pdf(z)  # noqa: E731
    exact = integrate.quad(both, -9, 9)[0] / integrate.quad(alone, -9, 9)[0]
    made = Synthesis(model, kind, {"a": 1})
    rows = pd.concat(list(made.blocks(20_000)))
    assert (rows["a"] == 1).all()
    assert abs(rows["b"].mean() - exact) < 4 * math.sqrt(exact * (1 - exact) / 20_000 * 1.3)
    chance, squares = (integrate.quad(lambda z, p=p: special.expit(2.5 * z - 2) ** p * stats.norm.pdf(z), -9, 9)[0] for p in (1, 2))  # fmt: skip  # noqa: E501
    share = chance**2 / squares  # what a proposal is worth
    assert made.tally.effective / made.tally.proposed == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize("sign, end", [(">=", 1.0), ("<", -1.5), (">", 1.8)])
def test_a_linear_gaussian_table_is_conditioned_as_the_truncated_normal_has_it(sign: str, end: float) -> None:
    """x = w z + ε: E[x₂ | x₁ ≥ t] = cov / sd₁ · φ(t / sd₁) / (1 − Φ(t / sd₁))."""
    kind = Table([number("x"), number("y")], Gaussian(PerDimension((2,), initial=0.6)))
    model = linear(kind, [1.0, -0.8], [0.0, 0.0])
    scale = float(kind.family(torch.zeros(1, 2)).parts["numbers"].scale[0, 0])  # type: ignore[operator]
    sd = math.sqrt(1 + scale**2)
    t = abs(end) / sd
    exact = -0.8 / sd * stats.norm.pdf(t) / stats.norm.sf(t) * (1 if sign.startswith(">") else -1)
    rows = pd.concat(list(Synthesis(model, kind, {f"x{sign}": end}).blocks(20_000)))
    assert (rows["x"] >= end).all() if sign.startswith(">") else (rows["x"] < end).all()
    assert abs(rows["y"].mean() - exact) < 4 * rows["y"].std() * math.sqrt(1.3 / 20_000)


def test_one_value_of_a_continuum_weighs_by_its_density() -> None:
    """x₁ = 1.5 exactly: y | x₁ is Gaussian with mean cov / var₁ · 1.5."""
    kind = Table([number("x"), number("y")], Gaussian(PerDimension((2,), initial=0.6)))
    model = linear(kind, [1.0, -0.8], [0.0, 0.0])
    scale = float(kind.family(torch.zeros(1, 2)).parts["numbers"].scale[0, 0])  # type: ignore[operator]
    rows = pd.concat(list(Synthesis(model, kind, {"x": 1.5}).blocks(20_000)))
    exact = -0.8 / (1 + scale**2) * 1.5
    spread = math.sqrt(0.64 + scale**2 - 0.64 / (1 + scale**2))
    assert (rows["x"] == 1.5).all()
    assert abs(rows["y"].mean() - exact) < 4 * spread * math.sqrt(1.3 / 20_000)
    assert rows["y"].std() == pytest.approx(spread, rel=0.05)


def test_a_point_mass_within_a_continuum_weighs_by_its_probability_alone() -> None:
    """x = 5 by its own level: the density of other values there, here 8, says nothing of z."""
    kind = Table(
        [number("x", special=[5.0], shares=[0.3, 0.7]), number("y")],
        Gaussian(PerDimension((2,), initial=0.05)),
    )
    model = linear(kind, [0.0, 1.0, 2.0, 0.0], [5.0, 0.0, 0.0, 0.0])
    own = pd.concat(list(Synthesis(model, kind).blocks(20_000)))
    held = own.loc[own["x"] == 5, "y"]  # by rejection
    rows = pd.concat(list(Synthesis(model, kind, {"x": 5.0}, seed=1).blocks(4_000)))
    assert (rows["x"] == 5).all() and held.mean() > 0.4
    assert abs(rows["y"].mean() - held.mean()) < 4 * held.std() * math.sqrt(1.3 / 4_000 + 1 / len(held))
    (part,) = wanted(kind, {"x": 5.0})
    px: Any = model.likelihood(torch.zeros(50, 1), None)
    assert torch.equal(part.log_mass(kind, px), torch.full((50,), 0.5, dtype=torch.float64).log())
    assert (part.settle(kind, px, draw(px, Noise(0, "x"))[0], Noise(1, "x"))[:, 2] == 0).all()


def test_means_are_taken_of_wanted_cells_too(mixed: Table) -> None:
    """The most probable level, and the median of the scores in the part: nothing is drawn."""
    params = torch.randn(1, mixed.family.size(mixed.shape[0]), generator=torch.Generator().manual_seed(3))
    px: Any = mixed.family.requires_grad_(False)(params.expand(2_000, -1))  # type: ignore[attr-defined]
    for where in ({"size>=": 1.5}, {"size<": -2, "size>=": -3}, {"grade>=": "mid"}, {"count>=": 3}):
        (part,) = wanted(mixed, where)
        places, zeros = mixed.places(part.column), torch.zeros(2_000, mixed.shape[0])
        free = part.settle(mixed, px, zeros, Noise(0, "free"))
        x = part.settle(mixed, px, zeros, Noise(0, "mean"), mean=True)
        assert (x == x[0]).all() and not (free == free[0]).all()
        if places.head is not None:
            assert x[0, places.head] == free[:, places.head].mode().values
        if places.score is not None:
            below = (free[:, places.score] < x[0, places.score]).double().mean()
            assert abs(float(below) - 0.5) < 4.5 * math.sqrt(0.25 / 2_000)


def test_the_mean_of_new_rows_reaches_their_wanted_cells() -> None:
    kind = Table([number("x"), category("a", [0, 1])], Gaussian(PerDimension((1,), initial=1.0)))
    model = linear(kind, [0.0, 0.0, 0.0], [0.0, 0.0, 0.5])
    rows = next(Synthesis(model, kind, {"x>=": 0.5}, mean=True).blocks(20))
    assert rows["x"].nunique() == 1 and (rows["a"] == 1).all()


def test_effective_sizes_are_those_of_all_weights_together() -> None:
    log_w = torch.randn(500, dtype=torch.float64)
    weights = Weights()
    for part in log_w.split(70):
        weights.add(part)
    w = log_w.exp()
    assert weights.effective == pytest.approx(float(w.sum() ** 2 / w.square().sum()))
    assert weights.proposed == 500


def test_a_condition_that_hardly_any_latent_gives_says_so() -> None:
    kind = Table([number("x", -40, 40), number("y")], Gaussian(PerDimension((2,), initial=0.05)))
    made = Synthesis(linear(kind, [1.0, 1.0], [0.0, 0.0]), kind, {"x>=": 3.9})
    (rows,) = made.blocks(10)
    assert (rows["x"] >= 3.9).all() and made.tally.effective < 10 and "rare" in made.tally.note
    with pytest.raises(UsageError, match="none of"):
        list(Synthesis(linear(kind, [1.0, 1.0], [0.0, 0.0]), kind, {"x>=": 39.0, "y<=": -5.0}).blocks(1))


# ---------------------------------------------------------------------- a trained table


def patients() -> pd.DataFrame:
    """Rows with a column that decides another, ranges in order, holes."""
    random = np.random.default_rng(0)
    n = 600
    city = random.choice(["Basel", "Bern", "Chur", "Genf"], n, p=[0.4, 0.3, 0.2, 0.1])
    age = random.integers(18, 80, n)
    frame = pd.DataFrame(
        {
            "age": age, "retired": (age + random.normal(0, 4, n) > 64), "city": city,
            "language": pd.Series(city).map({"Basel": "de", "Bern": "de", "Chur": "rm", "Genf": "fr"}),
            "first": random.normal(0, 1, n).round(2), "cost": random.lognormal(5 + age / 50, 0.5).round(2),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, n), unit="D"),
        }
    )  # fmt: skip
    frame["last"] = (frame["first"] + random.exponential(1, n)).round(2)
    frame.loc[random.random(n) < 0.1, "cost"] = None
    return frame


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("runs") / "patients"
    return vaekit.fit(patients(), second_stage="mixture", out=place, **SHORT)


def test_what_decides_what_is_found_and_what_only_looks_so_is_not(run: Any) -> None:
    assert [known.columns for known in run.kind.together] == [["city", "language"]]
    random = np.random.default_rng(1)
    a, rare = random.integers(0, 3, 40).astype(float), np.zeros(40)
    rare[7] = 1.0
    columns = [category("a", [0, 1, 2]), category("rare", [0, 1]), category("each", list(range(40)))]
    codes = {"a": a, "rare": rare, "each": np.arange(40.0)}
    assert found_together(columns, codes) == []


def test_decided_columns_are_kept_together(run: Any) -> None:
    known = {("Basel", "de"), ("Bern", "de"), ("Chur", "rm"), ("Genf", "fr")}
    made = run.synthesis(3)
    rows = pd.concat(list(made.blocks(2_000)))
    assert set(zip(rows["city"], rows["language"], strict=True)) == known
    assert made.tally.drawn > 2_000 and made.tally.rows == 2_000


@pytest.mark.parametrize(
    "where",
    [
        {"city": "Genf"},
        {"age>=": 60, "retired": False},
        {"cost": None},
        {"since<": "2020-03-01"},
        {"cost>": 300},
    ],
    ids=json.dumps,
)
def test_every_row_is_as_it_was_wanted(run: Any, where: dict[str, Any]) -> None:
    rows = run.sample(300, where=where)
    assert len(rows) == 300 and list(rows.dtypes) == list(run.sample(2).dtypes)
    for part in wanted(run.kind, where):
        assert part.holds(part.column.codes(rows[part.column.name])).all()
    assert set(zip(rows["city"], rows["language"], strict=True)) <= {
        ("Basel", "de"), ("Bern", "de"), ("Chur", "rm"), ("Genf", "fr"),
    }  # fmt: skip


def test_constraints_hold_of_every_row(run: Any) -> None:
    told = ["age >= 30", "65 > age", "first <= last", "since < 2021-01-01", "unique age, city"]
    rows = run.sample(60, constraints=told)
    assert rows["age"].between(30, 64).all() and (rows["first"] <= rows["last"]).all()
    assert (rows["since"] < "2021-01-01").all() and not rows.duplicated(["age", "city"]).any()
    assert not (run.sample(400)["first"] <= run.sample(400)["last"]).all()  # the model alone does not keep it


def test_the_order_of_constraints_changes_nothing(run: Any) -> None:
    """Rows that a later constraint refuses take no keys away from those after them."""
    told = ["age >= 70", "unique city", "unique retired, language"]
    first, *others = (run.sample(4, seed=1, constraints=order) for order in itertools.permutations(told))
    for other in others:
        pd.testing.assert_frame_equal(first, other)


def test_only_rows_that_keep_to_everything_take_their_keys() -> None:
    both = [Unique(("a",)), Unique(("b",)), Range("c", ">=", 1.0)]
    codes = {
        "a": np.array([0.0, 1, 1, 2, 3]),
        "b": np.array([0.0, 0, 1, 1, 2]),
        "c": np.array([1.0, 1, 1, 1, 0]),
    }
    for order in itertools.permutations(both):
        watch = Watch(order)
        # the second row shares b with the first and leaves a = 1 to the third; the fourth shares b with that one
        assert watch(codes).tolist() == [True, False, True, False, False]
        assert watch({name: cells[-1:] + 1 for name, cells in codes.items()}).tolist() == [True]
        assert watch.broken == {"unique a": 0, "unique b": 2, "c >= 1": 1}


def test_blocks_can_be_asked_for_again(run: Any) -> None:
    made = run.synthesis(5, constraints=["unique age, city"])
    first, second = (pd.concat(list(made.blocks(40))) for _ in range(2))
    assert len(first) == len(second) == made.tally.rows == 40 and not first.equals(second)


def test_rows_do_not_depend_on_how_many_are_taken_at_once(run: Any) -> None:
    whole = run.sample(2_500, seed=5, constraints=["age >= 25"])
    parts = pd.concat(list(run.synthesis(5, constraints=["age >= 25"]).blocks(2_500)), ignore_index=True)
    pd.testing.assert_frame_equal(whole, parts)
    pd.testing.assert_frame_equal(run.sample(700, seed=5, constraints=["age >= 25"]), whole.head(700))
    made = run.synthesis(5).blocks(10**9)  # a thousand million rows are no trouble until they are asked for
    assert len(next(made)) <= 1_024


BAD: list[tuple[dict[str, Any], list[str], str]] = [
    ({"town": "Bern"}, [], "is no column"),
    ({"city": "Rom"}, [], "none of its categories"),
    ({"age": 5}, [], "training had 18"),
    ({"age>=": 90}, [], "training had 18"),
    ({"city<": "Bern"}, [], "no order"),
    ({"age>=": 60, "age<": 50}, [], "contradict"),
    ({"age": None}, [], "never empty"),
    ({"city": "Genf", "language": "de"}, [], "never came together"),
    ({"age>=": 60}, ["age <= 50"], "contradicts age >= 60"),
    ({}, ["age > 100"], "training had 18 to 79"),
    ({}, ["since >= 2030-01-01"], "no row can keep to"),
    ({}, ["first > since"], "cannot be compared"),
    ({}, ["city >= 3"], "has no order"),
    ({}, ["town >= 3"], "no column 'town'"),
    ({}, ["age is good"], "is written"),
    ({}, ["unique city"], "there are 4 values, and no 50 rows can differ in it"),
    ({"age>=": 60, "age<": 70}, ["unique age"], "there are 10 values"),
    ({}, ["first <= lst"], "--constraint first <= lst: 'lst' is no column and no number; did you mean last?"),
    ({}, ["first + 10 <= last"], "compares a column with a value or a column"),
    ({}, ["last >= first * 2"], "compares a column with a value or a column"),
    ({}, ["city = Chur"], "a value is asked for by --where"),
    ({}, ["city != Chur"], "none of <, <=, >, >="),
    ({}, ["unique cty"], "did you mean city"),
    ({}, ["since >= soon"], "'soon' is no column and no date"),
    ({"city": "Churr"}, [], "city = Churr: 'Churr' is none of its categories .Basel, Bern, Chur, Genf."),
    ({"age>=": "old"}, [], "age >= old: numbers are expected, not 'old'"),
]


@pytest.mark.parametrize("where, told, says", BAD, ids=[says for _, _, says in BAD])
def test_what_cannot_be_is_said(run: Any, where: dict[str, Any], told: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("+", r"\+")) as error:
        run.sample(50, where=where, constraints=told)
    assert error.value.code == "E103" and "mend" not in error.value.hint


@pytest.mark.parametrize(
    "word, truth", [("yes", True), ("1", True), ("TRUE", True), ("no", False), ("0", False)]
)
def test_truths_are_known_by_what_people_write(run: Any, word: str, truth: bool) -> None:
    column = next(column for column in run.kind.columns if column.name == "retired")
    assert column.cells(np.array([told_code(column, word)])).tolist() == [truth]


def test_a_condition_is_read_as_people_write_it(run: Any) -> None:
    assert spelled(run.kind, "age==40") == "age=40" and spelled(run.kind, "age >= 40") == "age >= 40"
    for text, hint in (
        ("city!=Chur", "--where city=VALUE"),
        ("age>=60 and city=Chur", "--where 'age>=60' --where 'city=Chur'"),
        ("age>=60,city=Chur", "--where 'age>=60' --where 'city=Chur'"),
        ("age in 40..50", "--where 'age>=40' --where 'age<=50'"),
        ("city Chur", "--where city=VALUE"),
    ):
        with pytest.raises(UsageError, match=re.escape(f"--where {text}: ")) as error:
            spelled(run.kind, text)
        assert hint in error.value.hint


def test_what_was_drawn_beyond_the_last_row_does_not_count(run: Any) -> None:
    made = run.synthesis(3, constraints=["age >= 20"])
    list(made.blocks(50))
    assert 50 <= made.tally.drawn < 100  # not the block of 1 024


def test_constraints_that_hardly_any_row_keeps_to_are_given_up(run: Any) -> None:
    with pytest.raises(UsageError, match="rows keep to the constraints; most break"):
        run.sample(50, constraints=["age >= 79", "first >= 2.3"])


def test_a_model_of_another_kind_has_no_constraints(tmp_path: Path) -> None:
    other = vaekit.fit(
        np.random.default_rng(0).normal(size=(50, 3)), steps=2, out=tmp_path / "run", quiet=True
    )
    with pytest.raises(UsageError, match="rows of a table") as error:
        other.synthesis()
    assert error.value.code == "E108"


def test_a_conditional_model_takes_what_is_given_and_what_is_not(tmp_path: Path) -> None:
    told = vaekit.fit(
        patients(), preset="conditional_vae", labels="retired", steps=20, out=tmp_path / "run", quiet=True
    )
    rows = told.sample(50, where={"retired": "True", "age>=": 50})
    assert rows["retired"].all() and (rows["age"] >= 50).all()
    assert told.facts.get("prior") is None


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def test_the_command_writes_what_python_gives(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--where", "age>=40", "--where", "city=Bern", "--constraint", "first <= last"]
    for suffix in (".csv", ".tsv", ".parquet"):
        out = tmp_path / f"rows{suffix}"
        assert command("sample", run.path, "--n", "1500", "--out", out, *words, "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert said["n"] == 1500 and said["effective"] > 1_000 and said["proposed"] > said["drawn"] >= 1500
        read = (
            pd.read_parquet(out)
            if suffix == ".parquet"
            else pd.read_csv(out, sep="\t" if suffix == ".tsv" else ",")
        )
        expected = run.sample(1_500, where={"age>=": 40, "city": "Bern"}, constraints=["first <= last"])
        pd.testing.assert_frame_equal(
            read.assign(since=pd.to_datetime(read["since"])), expected, check_dtype=False
        )
    assert (
        command("sample", run.path, "--n", "50", "--out", out, "--where", "age>=40", "--where", "retired=no")
        == 0
    )
    told = capsys.readouterr().err
    assert (
        told.startswith("n 50") and "effective" not in told and "proposed" not in told
    )  # more than was asked for
    assert command("sample", run.path, "--n", "5", "--out", tmp_path / "rows.png") == 2
    assert (
        command("sample", run.path, "--n", "5", "--out", tmp_path / "no.csv", "--constraint", "age > 100")
        == 2
    )
    assert not (tmp_path / "no.csv").exists()


# ---------------------------------------------------------------------- the second stage


def test_a_table_gets_a_second_stage_if_it_helps_and_not_if_it_is_switched_off(
    run: Any, tmp_path: Path
) -> None:
    assert run.facts["prior"] == "mixture" and "mixture of 2" in run.facts["events"][-1]["what"]
    plain = vaekit.fit(patients(), second_stage="none", out=tmp_path / "plain", **SHORT)
    assert "prior" not in plain.facts and isinstance(plain.model.bottleneck.prior, StandardNormal)
    auto = vaekit.fit(patients(), out=tmp_path / "auto", **SHORT)
    better = run.metrics["elbo"] > plain.metrics["elbo"]
    assert auto.metrics["elbo"] == max(run.metrics["elbo"], plain.metrics["elbo"])
    assert auto.facts.get("prior") == ("mixture" if better else None)
    ours, theirs = (run if better else plain).model.state_dict(), auto.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_run_killed_after_its_second_stage_ends_in_the_same_weights(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("vaekit.fitting.SAVE_EVERY", 0.0)
        patch.setattr("vaekit.fitting.calibration", killed)
        with pytest.raises(Killed):
            vaekit.fit(patients(), second_stage="mixture", out=tmp_path / "run", **SHORT)
    again = vaekit.fit(patients(), second_stage="mixture", out=tmp_path / "run", **SHORT)
    ours, theirs = run.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours) and list(ours) == list(theirs)


def test_margins_of_new_rows_are_those_of_training(run: Any) -> None:
    rows = run.sample(20_000, seed=9)
    for column in run.kind.headed:
        codes = column.codes(rows[column.name])
        codes = codes[~np.isnan(codes)]
        share, found = (
            column.frequencies(),
            np.bincount(column.level(codes), minlength=column.levels) / len(codes),
        )
        assert np.abs(share - found).max() < 0.02, column.name
    for column in run.kind.holed:
        assert abs(rows[column.name].isna().mean() - column.holes) < 0.02


def test_margins_are_matched_given_the_constraint_that_new_rows_keep() -> None:
    """Two columns that must agree: what is drawn independently given z is matched after the others are refused."""
    kind = Table(
        [category("a", ["x", "y"], shares=[0.8, 0.2]), category("b", ["p", "q"], shares=[0.8, 0.2])],
        together=[Together(["a", "b"], [[0.0, 0.0], [1.0, 1.0]])],
    )
    model = linear(kind, [1.0, -1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0])
    model.decoder = Conditional(MLP(1, 4, hidden=(), linear=False), kind.family)  # type: ignore[assignment]
    model.decoder.net.last.weight.data.copy_(torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]))  # type: ignore[union-attr, operator]
    assert match_margins(model.requires_grad_(False), kind)
    made = Synthesis(model, kind)
    rows = pd.concat(list(made.blocks(20_000)))
    assert (rows["a"] == "x").mean() == pytest.approx(0.8, abs=0.015)
    assert made.tally.drawn > 20_500


def test_values_of_constraints_read_as_they_were_written(run: Any) -> None:
    found = constraints(run.kind, ["30 <= age", "first < last", "unique"])
    assert found[1] == Range("age", ">=", 30.0) and found[2] == Inequality("first", "<", "last")
    assert isinstance(found[3], Unique) and set(found[3].columns) == set(patients())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detect(TableSource(patients()))
