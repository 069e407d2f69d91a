"""What the page is told of items: read as its script reads them, it says what the kinds themselves say."""

from __future__ import annotations

import base64
import datetime
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from vaekit.data import Counts, Images, Sequences, Table, TableSource, Vectors
from vaekit.data.batch import Items
from vaekit.data.classes import Classes
from vaekit.data.parts import Parts
from vaekit.data.recognise import recognise
from vaekit.errors import DataError
from vaekit.explorer.reading import condition, reading, shown, values

ROWS = 300

# ---------------------------------------------------------------------- as the page's script does it, in Python


def straight(at: float, x: list[float], y: list[float]) -> float:
    piece = min(max(sum(one <= at for one in x), 1), len(x) - 1)
    return y[piece - 1] + (at - x[piece - 1]) * (y[piece] - y[piece - 1]) / (x[piece] - x[piece - 1])


def on_grid(value: float, grid: float) -> float:
    if not grid:
        return value
    if grid >= 1:
        return round(value / grid) * grid
    ten = 10 ** round(-math.log10(grid))
    return round(value * ten) / ten


def text_of(column: dict[str, Any], x: list[float]) -> str:
    if column["kind"] == "empty" or ("bit" in column and x[column["bit"]] < 0.5):
        return ""
    if column["kind"] == "category":
        return column["names"][0 if column["at"] is None else round(x[column["at"]])]
    level = round(x[column["head"]]) if "head" in column else math.inf
    if level < len(column.get("special", ())):
        value = column["special"][level]
    elif column["at"] is None:
        value = column["from"]
    elif math.isnan(x[column["at"]]):
        return ""
    else:
        steps = on_grid(straight(x[column["at"]], column["knots"], column["values"]), column["grid"])
        value = on_grid(steps + column["from"], column["grid"])
        if column["low"] is not None:
            value = max(value, column["low"])
        if column["high"] is not None:
            value = min(value, column["high"])
    if "date" in column:
        start = datetime.datetime(1970, 1, 1)
        moment = start + datetime.timedelta(microseconds=value * column["date"]["unit"] / 1000)
        return moment.strftime(column["date"]["form"])
    text = f"{value:.6g}" if column["decimals"] is None else f"{value:.{column['decimals']}f}"
    text = text.removeprefix("-") if not text.strip("-0.") else text
    return text + (f" {column['span']['word']}" if "span" in column else "")


def x_of(column: dict[str, Any], text: str, x: list[float]) -> None:
    """Writes the parts of one cell into x."""
    if column["kind"] == "empty":
        return
    places = [column[name] for name in ("at", "head") if column.get(name) is not None]
    if "bit" in column:
        x[column["bit"]] = float(text != "")
    for place in places:
        x[place] = math.nan
    if not text:
        return
    if column["kind"] == "category":
        if column["at"] is not None:
            rare = text in column.get("rare", ()) and text not in column["names"]
            x[column["at"]] = len(column["names"]) - 1 if rare else column["names"].index(text)
        return
    if "date" in column:
        moment = datetime.datetime.strptime(text, column["date"]["form"]) - datetime.datetime(1970, 1, 1)
        value = moment / datetime.timedelta(microseconds=1) * 1000 / column["date"]["unit"]
    else:
        value = float(text.split()[0])
    special = column.get("special", [])
    if "head" in column:
        x[column["head"]] = special.index(value) if value in special else len(special)
    if column["at"] is not None and value not in special:
        x[column["at"]] = straight(value - column["from"], column["values"], column["knots"])


# ---------------------------------------------------------------------- tables


@pytest.fixture(scope="module")
def table() -> Table:
    rng = np.random.default_rng(0)
    gone = rng.random(ROWS) < 0.2
    days = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 900, ROWS), unit="D")
    frame = pd.DataFrame(
        {
            "length": rng.normal(1e6, 3.0, ROWS),
            "price": np.round(rng.lognormal(2, 1, ROWS), 2),
            "zeros": np.where(rng.random(ROWS) < 0.8, 0, rng.integers(1, 5000, ROWS)),
            "pay": rng.integers(10, 400, ROWS) * 100,
            "hole": np.where(gone, np.nan, rng.normal(size=ROWS)),
            "day": days,
            "moment": pd.Series(days + pd.to_timedelta(rng.integers(0, 86_400, ROWS), unit="s")).mask(gone),
            "wait": pd.to_timedelta(rng.integers(0, 5_000, ROWS), unit="s"),
            "city": pd.Series(rng.choice(["Ulm", "Bern", "Łódź <b>"], ROWS), dtype=object).mask(gone),
            "yes": rng.random(ROWS) < 0.3,
            "grade": rng.choice([1, 2, 3], ROWS),
            "one": "same",
        }
    )  # fmt: skip
    return Table(recognise(TableSource(frame)))


def drawn(kind: Table, rows: int = 200, seed: int = 1) -> torch.Tensor:
    """Rows of the model's space with every level, holes, and scores far out."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, len(kind.scored))) * rng.choice([0.5, 1.0, 6.0], (rows, 1))
    bits = rng.random((rows, len(kind.holed))) < 0.8
    heads = [rng.integers(0, column.levels, rows) for column in kind.headed]
    return torch.from_numpy(np.concatenate([scores, bits, np.stack(heads, 1)], 1)).float()


def test_a_table_is_shown_as_its_kind_decodes_it(table) -> None:
    told, x = reading(table), drawn(table)
    assert {c["kind"] for c in told["columns"]} == {"number", "category"} and len(told["columns"]) == 12
    every = {word for column in told["columns"] for word in column}
    assert {"bit", "head", "special", "date", "span", "grid"} <= every
    rows = shown(table, x)
    frame = table.written(table.decode(x))
    for i, values_ in enumerate(x.double().tolist()):
        cells = rows[i]["cells"]
        assert [text_of(column, values_) for column in told["columns"]] == cells
        for column, text in zip(told["columns"], cells, strict=True):
            value = frame[column["name"]].iloc[i]
            if text == "":
                assert pd.isna(value)
            elif "date" in column:
                assert pd.Timestamp(text) == pd.Timestamp(value)
            elif "span" in column:
                assert pd.Timedelta(text) == value
            elif column["kind"] == "number":
                assert float(text) == pytest.approx(float(value), rel=1e-5)
            else:
                assert text == str(value)


def test_a_row_that_is_given_as_texts_is_read_as_its_kind_encodes_it(table) -> None:
    told, x = reading(table)["columns"], drawn(table, seed=2)
    for row in shown(table, x)[:40]:
        batch = Items(table.store(values(table, row)), table).batch(torch.tensor([0]))
        kinds = batch.with_holes[0]
        found = [math.nan] * len(kinds)
        for column, text in zip(told, row["cells"], strict=True):
            x_of(column, text, found)
        assert torch.equal(kinds.isnan(), torch.tensor(found).isnan())
        again = shown(table, torch.tensor([found]))[0]["cells"]
        assert again == row["cells"] == shown(table, batch.with_holes)[0]["cells"]
        scored = len(table.scored)
        assert torch.tensor(found)[scored:].nan_to_num().tolist() == kinds[scored:].nan_to_num().tolist()


def test_rare_categories_are_read_as_one_and_shown_as_the_most_frequent() -> None:
    names = [f"street {i}" for i in range(400)]
    rng = np.random.default_rng(0)
    street = ["Main"] * 1500 + list(rng.choice(names, 500)) + ["Side"] * 30
    kind = Table(recognise(TableSource(pd.DataFrame({"street": street, "n": np.arange(len(street)) * 0.7}))))
    told = next(c for c in reading(kind)["columns"] if c["name"] == "street")
    if "rare" not in told:
        pytest.skip("nothing is rare here")
    assert told["names"][-1] == told["rare"][0] and told["names"][0] == "Main"
    row = [0.0] * kind.shape[0]
    x_of(told, told["rare"][-1], row)
    assert row[told["at"]] == len(told["names"]) - 1


def test_given_columns_are_told_for_each_label() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=60), "who": rng.choice(["a", "b"], 60)})
    source = TableSource(frame, label_columns=("who",))
    from vaekit.data import build, detect

    kind = build(source, detect(source, conditional=True)[0]).kind
    told = reading(kind)
    given = told["columns"][1]
    assert given["kind"] == "given" and given["texts"] == list(kind.labels) and given["none"] in kind.labels
    for place, c in enumerate(told["condition"]["labels"]):
        cells = shown(kind, torch.zeros(1, 1), torch.tensor([c]))[0]["cells"]
        assert cells[1] == kind.labels[place]
    assert torch.equal(condition(kind, 1), torch.tensor([told["condition"]["labels"][1]]))


# ---------------------------------------------------------------------- the other kinds


@pytest.mark.parametrize("missing", [False, True])
def test_vectors_stand_in_their_own_units(missing) -> None:
    kind = Vectors(2, mean=[1e9, -3.0], scale=[0.5, 1e-4], missing=missing)
    told = reading(kind)["columns"]
    x = torch.tensor([[0.25, -1.0], [3.0, 7.5]])
    x[0, 1] = math.nan
    for row, cells in zip(x.double().tolist(), shown(kind, x), strict=True):
        assert [text_of(column, row) for column in told] == cells["cells"]
    assert shown(kind, x)[0]["cells"][1] == ""
    for i, column in enumerate(told):
        exact = straight(2.0, column["knots"], column["values"]) + column["from"]
        assert exact == kind.decode(torch.full((1, 2), 2.0))[0, i]
    batch = Items(kind.store(values(kind, {"cells": ["1000000001", ""]})), kind).batch(torch.tensor([0]))
    assert batch.x[0, 0] == 2.0 and batch.mask[0].tolist() == [True, False]


def test_counts_and_classes_are_whole_numbers() -> None:
    kind = Counts(2, [0.0, 1.0])
    x = torch.tensor([[2.4, -1.0], [1e30, 7.0]])
    told = reading(kind)["columns"]
    assert shown(kind, x)[0]["cells"] == ["2", "0"] == [text_of(c, x.tolist()[0]) for c in told]
    assert kind.decode(x).min() == 0  # a count beyond int64 is none below 0
    assert reading(Classes(3))["columns"][0]["names"] == ["0", "1", "2"]
    assert shown(Classes(3), torch.tensor([[2.0]]))[0]["cells"] == ["2"]


def test_pictures_come_and_go_as_bytes() -> None:
    kind = Images(3, 2, 4)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, 4, 3), dtype=np.uint8)
    given = {"image": {"shape": [2, 4, 3], "pixels": base64.b64encode(pixels[0]).decode()}}
    batch = Items(kind.store(values(kind, given)), kind).batch(torch.tensor([0]))
    assert np.allclose(batch.x[0].permute(1, 2, 0).numpy(), pixels[0] / 255, atol=1e-7)
    assert shown(kind, batch.x) == [given]
    few = Images(1, 1, 3, levels=17)
    told = reading(few)
    assert told["levels"] == 17 and not told["bits"] and reading(Images(1, 2, 2, binarize="dynamic"))["bits"]
    given = {"image": {"shape": [1, 3, 1], "pixels": base64.b64encode(bytes([0, 100, 255])).decode()}}
    batch = Items(few.store(values(few, given)), few).batch(torch.tensor([0]))
    assert batch.x.flatten().tolist() == pytest.approx([0, round(100 / 255 * 16) / 16, 1])
    given["image"]["shape"] = [3, 1, 1]
    with pytest.raises(DataError, match="bytes"):
        values(few, given)


def test_text_is_its_characters() -> None:
    kind = Sequences("abλ", 5)
    told = reading(kind)
    tokens = [1 + told["characters"].index(one) for one in "bλ"]
    batch = Items(kind.store(values(kind, {"text": "bλ"})), kind).batch(torch.tensor([0]))
    assert batch.x[0].tolist() == [*tokens, 0.0, 0.0, 0.0]
    assert shown(kind, batch.x) == [{"text": "bλ"}]


def test_parts_stand_side_by_side_and_may_be_missing() -> None:
    kind = Parts({"point": Vectors(2), "picture": Images(1, 2, 2), "class": Classes(3)})
    told = reading(kind)
    assert [(p["name"], p["at"], p["width"]) for p in told["parts"]] == [
        ("point", 0, 2), ("picture", 2, 4), ("class", 6, 1),
    ]  # fmt: skip
    given = {"parts": [{"name": "point", "given": {"cells": ["1", "2"]}}]}
    batch = Items(kind.store(values(kind, given)), kind).batch(torch.tensor([0]))
    x = batch.with_holes
    assert x[0, :2].tolist() == [1.0, 2.0] and bool(x[0, 2:].isnan().all())
    assert shown(kind, x)[0]["parts"][0] == {"name": "point", "shown": {"cells": ["1", "2"]}}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Vectors(2), {"cells": ["1"]}),
        (Vectors(2), {"cells": ["1", "two"]}),
        (Vectors(2), {"text": "1"}),
        (Images(1, 2, 2), {"image": {"shape": [2, 2, 1], "pixels": "?"}}),
        (Sequences("ab", 3), {"cells": ["a"]}),
        (Sequences("ab", 3), None),
    ],
)
def test_what_is_no_item_is_refused(kind, given) -> None:
    with pytest.raises(DataError):
        values(kind, given)
