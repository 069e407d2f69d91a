"""Items of several parts: in storage, in the model's space and back; what is missing and what cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vaekit.data import Images, Items, Parts, Vectors, build, detect
from vaekit.data.classes import Classes
from vaekit.data.parts import PartsSource
from vaekit.distributions import Noise
from vaekit.errors import DataError


def some_values(rows: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "point": rng.normal(3, 2, (rows, 2)).astype(np.float32),
        "class": rng.integers(0, 4, rows),
        "picture": rng.integers(0, 256, (rows, 4, 4)).astype(np.uint8),
    }


def some_kind() -> Parts:
    return Parts({"point": Vectors(2), "class": Classes(4), "picture": Images(1, 4, 4)})


def test_parts_come_back_as_they_went_in() -> None:
    kind, values = some_kind(), some_values()
    batch = kind.encode(kind.store(values))
    assert batch.x.shape == (6, 19) and batch.mask is None
    back = kind.decode(batch.x)
    np.testing.assert_allclose(back["point"], values["point"], rtol=1e-6)
    np.testing.assert_array_equal(back["class"], values["class"])
    np.testing.assert_array_equal(np.asarray(back["picture"]).reshape(6, 4, 4), values["picture"])
    for name, each in kind.parts.items():
        own = each.encode(each.store(values[name])).x.flatten(1)
        assert torch.equal(batch.x[:, kind.place(name)], own.float())


def test_a_part_that_is_not_given_is_missing() -> None:
    kind, values = some_kind(), some_values()
    raw = kind.store({"picture": values["picture"]})
    batch = kind.encode(raw)
    assert batch.mask is not None and bool(batch.mask[:, 3:].all()) and not bool(batch.mask[:, :3].any())
    assert bool(torch.isfinite(batch.x).all())
    assert torch.equal(batch.x[:, 3:], kind.encode(kind.store(values)).x[:, 3:])


def test_single_items_may_miss_a_part() -> None:
    """A row of NaN is no item; the others are what they would be without it."""
    kind, values = some_kind(), some_values()
    whole = kind.encode(kind.store(values))
    holed = {name: part.astype(np.float64) for name, part in values.items()}
    holed["picture"] = values["picture"] / 255.0
    holed["class"][1] = holed["point"][2] = holed["picture"][3] = math.nan
    batch = kind.encode(kind.store(holed))
    gone = torch.zeros(6, 19, dtype=torch.bool)
    gone[1, kind.place("class")] = gone[2, kind.place("point")] = gone[3, kind.place("picture")] = True
    assert batch.mask is not None and torch.equal(batch.mask, ~gone)
    assert torch.allclose(batch.x[~gone], whole.x[~gone], atol=1e-6)


def test_random_conversions_of_a_part_are_its_own() -> None:
    """Dynamic binarisation draws from the noise that is given."""
    kind = Parts({"picture": Images(1, 8, 8, binarize="dynamic"), "class": Classes(2)})
    raw = kind.store({"picture": np.full((4, 8, 8), 128, np.uint8), "class": np.zeros(4, int)})
    first, again, other = (kind.encode(raw, None, Noise(seed)).x for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert set(first.unique().tolist()) == {0.0, 1.0}


def test_the_volume_is_that_of_the_parts_that_are_there() -> None:
    values = some_values()
    point = Vectors(2, mean=[0.0, 0.0], scale=[2.0, 4.0])
    kind = Parts({"point": point, "class": Classes(4)})
    whole = kind.log_volume(kind.encode(kind.store({k: values[k] for k in ("point", "class")})))
    own = point.log_volume(point.encode(point.store(values["point"])))
    assert float(torch.as_tensor(whole).sum()) == pytest.approx(float(torch.as_tensor(own).sum()))
    without = kind.log_volume(kind.encode(kind.store({"class": values["class"]})))
    assert float(torch.as_tensor(without).abs().sum()) == 0
    assert kind.dims == 3 and float(torch.as_tensor(whole).abs().sum()) > 0


def test_where_a_part_stands_and_which_one_is_shown() -> None:
    kind = some_kind()
    assert [kind.place(name) for name in kind.parts] == [slice(0, 2), slice(2, 3), slice(3, 19)]
    assert kind.shown == "picture" and Parts({"a": Classes(2)}).shown == "a"


WRONG = [
    ({}, "E208", "not the parts"),
    ({"point": np.zeros((2, 2)), "colour": np.zeros(2)}, "E208", "colour"),
    (np.zeros((3, 19)), "E208", "ndarray"),
    ({"point": np.zeros((2, 2)), "class": np.zeros(3, int)}, "E205", "different numbers of rows"),
    ({"class": np.array([0, 1, 4])}, "E203", "no class 4"),
    ({"class": np.array([0, -1])}, "E203", "no class -1"),
    ({"class": np.array([0.5, 1])}, "E203", "no class 0.5"),
    ({"class": np.zeros((2, 3), int)}, "E205", "one class for each item"),
]


@pytest.mark.parametrize(("values", "code", "word"), WRONG)
def test_what_is_not_of_these_parts_is_refused(values, code, word) -> None:
    with pytest.raises(DataError, match=word) as caught:
        some_kind().store(values)
    assert caught.value.code == code


def test_the_row_of_an_unknown_class_is_named() -> None:
    with pytest.raises(DataError, match="row 2"):
        Classes(4).store([0, 3, 7, 9])


# --- found out from arrays


def found(values: dict[str, np.ndarray]) -> Parts:
    return detect(PartsSource(values), "parts", minimum=2)[0]


def test_the_kind_of_each_part_is_found_out() -> None:
    kind = found({**some_values(40), "number": np.random.default_rng(0).normal(size=40)})
    names = {name: each.name for name, each in kind.parts.items()}
    assert names == {"point": "vectors", "class": "classes", "picture": "images", "number": "vectors"}
    assert kind.parts["class"].levels == 4
    source = PartsSource({**some_values(40), "number": np.random.default_rng(0).normal(size=40)})
    items = build(source, kind)
    assert isinstance(items, Items) and len(items) == 40 and items.shape == (20,)


def test_the_kind_of_a_part_with_missing_items_is_that_of_the_others() -> None:
    values = some_values(40)
    values["class"] = values["class"].astype(np.float64)
    values["class"][::7] = math.nan
    values["point"][3] = math.nan
    kind = found(values)
    assert kind.parts["class"].name == "classes" and kind.parts["class"].levels == 4
    batch = kind.encode(kind.store(values))
    assert batch.mask is not None and int((~batch.mask[:, kind.place("class")]).sum()) == 6


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(DataError, match="different numbers of rows") as caught:
        found({"a": np.zeros((3, 2)), "b": np.zeros(4, int)})
    assert caught.value.code == "E205"
    with pytest.raises(DataError, match="at least 2") as caught:
        found({"a": np.zeros((1, 2)), "b": np.zeros(1, int)})
    assert caught.value.code == "E207"
    with pytest.raises(DataError, match="from 0 to at most 999") as caught:
        found({"a": np.random.default_rng(0).normal(size=(9, 2)), "b": np.arange(9) - 3})
    assert caught.value.code == "E203"


def test_a_source_is_known_by_its_names_and_values() -> None:
    a, b = PartsSource(some_values()), PartsSource(some_values())
    assert a.fingerprint() == b.fingerprint() and len(a) == 6
    b.values["class"] = b.values["class"][::-1]
    assert a.fingerprint() != b.fingerprint()
    renamed = PartsSource(
        {"label" if name == "class" else name: part for name, part in some_values().items()}
    )
    assert renamed.fingerprint() != a.fingerprint()
    some = a.rows(2, 5)
    assert len(some) == 3 and np.array_equal(some.values["class"], a.values["class"][2:5])
