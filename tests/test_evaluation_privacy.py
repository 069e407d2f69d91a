"""Quality and privacy of synthetic rows: figures that are known by construction, the report and its command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import call

import vaekit
from vaekit.cli import main
from vaekit.errors import DataError, UsageError
from vaekit.evaluation.privacy import nearest, privacy
from vaekit.evaluation.synthetic import compared, learnt_from, quality, told_apart


def people(n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.normal(50, 10, n)
    frame = pd.DataFrame(
        {
            "age": age, "height": random.normal(170, 9, n), "city": random.choice(list("abc"), n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, n), unit="D"),
            "rich": random.random(n) < 1 / (1 + np.exp(-(age - 50) / 3)),
        }
    )  # fmt: skip
    frame.loc[random.random(n) < 0.1, ["height"]] = np.nan
    return frame


def test_rows_that_have_nothing_to_do_with_training_give_nothing_away() -> None:
    found = privacy(people(900, 0), people(900, 1), people(900, 2))
    assert found.copies == found.copies_floor == 0
    # shares of 900 rows, three standard deviations of a fair coin
    assert abs(found.nearer - 0.5) < 0.05 and abs(found.membership - 0.5) < 0.05
    assert found.distance == pytest.approx(found.distance_floor, rel=0.1)


def test_copies_are_found_even_among_empty_cells_and_other_types() -> None:
    train, unseen, fresh = people(200, 0), people(200, 1), people(200, 2)
    synthetic = pd.concat([train[:50], fresh[:150]]).assign(city=lambda rows: rows["city"].astype("category"))
    found = privacy(train, unseen, synthetic)
    assert found.copies == 0.25 and found.copies_floor == 0
    assert found.nearer == pytest.approx(0.25 + 0.75 * 0.5, abs=0.06)
    again = privacy(train, pd.concat([unseen, train[:40]]), train)
    assert again.copies == 1 and again.copies_floor == 40 / 240 and again.distance == 0


def test_a_model_that_remembers_is_told_by_membership_and_nearness() -> None:
    train, unseen = people(400, 0), people(400, 1)
    random = np.random.default_rng(3)
    near = train.assign(age=train["age"] + random.normal(0, 0.05, 400))
    found = privacy(train, unseen, near)
    assert found.copies == 0 and found.nearer > 0.95 and found.membership > 0.95
    assert found.distance < 0.05 * found.distance_floor


def test_nearest_is_the_least_distance_and_nothing_for_the_same_row() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(1_100, 4)) * 1e6, random.normal(size=(300, 4)) * 1e6
    both = np.concatenate([b, a[:7]])
    exact = np.sqrt(((a[:, None] - both[None]) ** 2).sum(2)).min(1)
    assert np.allclose(nearest(a, both), exact, rtol=1e-6) and (nearest(a[:7], both) == 0).all()


def test_empty_or_other_tables_are_named() -> None:
    with pytest.raises(DataError, match="there is nothing"):
        privacy(people(5, 0), people(0, 1), people(5, 2))
    with pytest.raises(DataError, match="lacks"):
        privacy(people(5, 0), people(5, 1), people(5, 2).drop(columns="age"))
    with pytest.raises(DataError, match="no column 'wealth'"):
        quality(people(50, 0), people(50, 1), "wealth")


def test_the_two_sample_classifier_sees_what_is_there_and_nothing_else() -> None:
    real, same = people(1_500, 0), people(1_500, 1)
    assert abs(told_apart(same, real) - 0.5) < 0.05
    torn = same.assign(rich=same["rich"].sample(frac=1, random_state=0).to_numpy())
    # rich and age torn apart: the best classifier's AUC is that of the likelihood ratio
    assert 0.62 < told_apart(torn, real) < 0.9
    assert told_apart(same.assign(city="d"), real) == pytest.approx(1.0)


@pytest.mark.parametrize("target, least, most", [("rich", 0.85, 0.97), ("city", 0.4, 0.6), ("age", 0.2, 0.7)])
def test_what_is_learnt_from_rows_is_what_is_in_them(target: str, least: float, most: float) -> None:
    assert least < learnt_from(people(1_500, 0), people(1_500, 1), target) < most


def test_rows_from_a_file_are_told_apart_as_those_in_memory(tmp_path: Path) -> None:
    """The real table says what a column holds: a file gives dates back as text, and codes as numbers."""

    def rows(seed: int) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        frame = people(400, seed).round({"age": 2, "height": 2})
        frame["stay"] = pd.to_timedelta(random.integers(0, 90, 400), unit="D")
        frame["ward"] = random.choice(["10", "20", "30"], 400)
        frame["group"] = pd.Categorical(random.choice([1, 2], 400))
        for name in ("since", "rich", "ward", "group", "stay"):
            frame[name] = frame[name].mask(random.random(400) < 0.1)
        return frame

    real, synthetic = rows(0), rows(1)
    synthetic.to_csv(tmp_path / "new.csv", index=False)
    read = pd.read_csv(tmp_path / "new.csv")
    assert (read.dtypes != synthetic.dtypes)[["since", "stay", "ward", "group"]].all()
    assert told_apart(read, real) == told_apart(synthetic, real) and abs(told_apart(read, real) - 0.5) < 0.1
    for target in ("since", "ward"):
        assert learnt_from(read, real, target) == learnt_from(synthetic, real, target), target


def test_a_class_that_is_not_among_the_rows_is_not_learnt() -> None:
    train, test = people(600, 0), people(600, 1)
    train, test = (
        rows.assign(third=np.digitize(rows["age"], [45, 55]).astype(str)).drop(columns="rich")
        for rows in (train, test)
    )
    whole, without = (learnt_from(rows, test, "third") for rows in (train, train[train["third"] != "2"]))
    assert whole > 0.99 and without == pytest.approx((1 + 0.5 + 0.5) / 3, abs=0.1)
    one = train.assign(third="1")
    assert learnt_from(one, test, "third") == learnt_from(one[["third"]], test[["third"]], "third") == 0.5
    assert np.isnan(learnt_from(train, test.assign(third="1"), "third"))  # there is nothing to measure
    assert learnt_from(train.assign(age=np.nan), test, "age") == 0.0


def test_a_date_is_predicted_as_a_number() -> None:
    train, test = (
        people(600, seed).assign(
            born=lambda rows: pd.Timestamp("2000") - pd.to_timedelta(rows["age"] * 365.25, "D")
        )
        for seed in (0, 1)
    )
    exact = learnt_from(train, test, "born")
    assert 0.95 < exact < 1
    assert learnt_from(train.assign(born=train["born"].astype(str)), test, "born") == pytest.approx(
        exact, abs=1e-6
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("judged")
    people(300, 0).to_csv(place / "people.csv", index=False)
    people(200, 1).to_csv(place / "test.csv", index=False)
    return vaekit.fit(str(place / "people.csv"), steps=20, threads=1, out=place / "run", quiet=True)


def test_the_report_has_a_section_about_synthetic_rows(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    place = run.path.parent
    run.sample(250).to_csv(place / "new.csv", index=False)
    words = [
        "report",
        run.path,
        "--real",
        place / "test.csv",
        "--synthetic",
        place / "new.csv",
        "--target",
        "rich",
    ]
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in [*words, "--json"]])
    assert not stop.value.code
    said = json.loads(capsys.readouterr().out)
    assert said["train"] == 270 and said["synthetic"] == 250 and said["real"] == 200
    assert 0.5 < said["real_rows"]["learnt"] <= 1 and said["copies"] == 0 and 0.3 < said["nearer"] < 0.7
    page = (run.path / "report.html").read_text()
    assert "Synthetic rows" in page and "250 synthetic rows (new.csv) beside 200 real" in page
    assert f"{said['told_apart']:.3f}" in page and "new.csv" in page and "test.csv" in page
    assert said["learnt_is"] == "AUC" and said["notes"] == []
    again = run.judge(place / "test.csv", run.sample(250), people(300, 0), "rich")
    assert {**again, "files": said["files"]} == {key: said[key] for key in said if key != "report"}


def test_rows_that_were_trained_on_and_too_few_are_told(run: Any, tmp_path: Path) -> None:
    place = run.path.parent
    run.sample(12).to_csv(tmp_path / "new.csv", index=False)
    done = call(
        "report",
        run.path,
        "--real",
        place / "people.csv",
        "--synthetic",
        tmp_path / "new.csv",
        "--target",
        "age",
    )
    assert done.code == 0, done.err
    assert "270 of these 300 real rows are among those that were trained on" in done.err
    assert "12 synthetic rows are too few" in done.err and "told apart" in done.err
    assert "target (R²)" in done.err and f"page: {run.path / 'report.html'}" in done.err
    page = (run.path / "report.html").read_text()
    assert "270 of these 300" in page and '<td class="number">–</td>' in page


def test_copies_that_come_twice_by_chance_are_no_fault() -> None:
    rows = pd.DataFrame({"a": np.arange(60) % 3, "b": np.arange(60) % 2})
    assert compared(rows[:30], rows[:30], rows[30:])["notes"] == []


def test_without_training_rows_privacy_is_left_out(run: Any, tmp_path: Path) -> None:
    import shutil

    alone = tmp_path / "alone"
    shutil.copytree(run.path, alone)
    other = vaekit.open(alone)
    other.facts["data"]["path"] = "gone.csv"
    found = other.judge(people(100, 1), people(100, 2))
    assert "copies" not in found and "nothing is said of privacy" in (alone / "report.html").read_text()


def test_options_that_belong_together(run: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["report", str(run.path), "--synthetic", "new.csv"])
    assert stop.value.code == 2
    array = vaekit.fit(
        np.random.default_rng(0).normal(size=(60, 3)), steps=2, out=tmp_path / "run", quiet=True
    )
    with pytest.raises(UsageError, match="rows of a table are judged"):
        array.judge(people(30, 0), people(30, 1))
