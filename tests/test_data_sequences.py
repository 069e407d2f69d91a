"""Lines of text: tokens and back, masks, files, what is refused, and a run from file to samples."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest
import torch

from vaekit import outputs, presets
from vaekit.data import Items, build, card, detect, read
from vaekit.data.loaded import TextSource
from vaekit.data.sequences import LONGEST, Sequences
from vaekit.distributions import Noise
from vaekit.errors import DataError, UsageError
from vaekit.evaluation import evaluate
from vaekit.recipes import build as rebuild
from vaekit.recipes import recipe
from vaekit.report import evidence, texts
from vaekit.report.view import View

NAMES = ["anna", "bob", "a", "", "nana"]


@pytest.fixture
def kind() -> Sequences:
    return Sequences("abno", 5)


def test_tokens_and_back(kind) -> None:
    raw = kind.store(NAMES)
    assert raw.dtype == torch.uint8 and raw.shape == (5, 5)
    assert raw.tolist()[:2] == [[1, 3, 3, 1, 0], [2, 4, 2, 0, 0]]
    assert kind.decode(kind.encode(raw).x) == NAMES
    full = Sequences("ab", 3)
    assert full.decode(full.encode(full.store(["aba", "b"])).x) == ["aba", "b"]


def test_what_follows_the_first_end_is_not_read(kind) -> None:
    assert kind.decode(torch.tensor([[1.0, 0.0, 2.0, 2.0, 0.0]])) == ["a"]


def test_the_mask_holds_the_line_and_its_end(kind) -> None:
    batch = kind.encode(kind.store(["anna", "bobbb", ""]))
    assert batch.mask.int().tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
    short = kind.encode(kind.store(["bo"]))
    assert short.mask.int().tolist() == [[1, 1, 1, 0, 0]]


def test_many_characters_need_wider_tokens() -> None:
    wide = "".join(chr(0x4E00 + i) for i in range(400))
    kind = Sequences(wide, 3)
    raw = kind.store([wide[399] + wide[0]])
    assert raw.dtype == torch.int16 and kind.decode(kind.encode(raw).x) == [wide[399] + wide[0]]


@pytest.mark.parametrize(
    ("values", "code", "where"),
    [
        (["anna", "bõb"], "E217", "row 1"),
        (["anna", "b", "annabo"], "E210", "row 2"),
        (["anna", 3], "E211", "row 1"),
        ([], "E202", ""),
        (np.zeros((3, 2)), "E211", "row 0"),
    ],
)
def test_lines_that_do_not_fit_are_named(kind, values, code, where) -> None:
    with pytest.raises(DataError) as error:
        kind.store(values)
    assert error.value.code == code and error.value.where == where
    if code == "E217":
        assert "'õ'" in error.value.message


def test_arguments_out_of_range() -> None:
    for wrong in (
        ("", 3),
        ("aa", 3),
        (["ab"], 3),
        ("ab", 0),
        ("ab", LONGEST + 1),
        ("ab", 3, 0.0),
        ("ab", 3, 4.5),
    ):
        with pytest.raises(ValueError, match=r"vocabulary|length"):
            Sequences(*wrong)


def test_a_kind_comes_back_from_its_recipe(kind) -> None:
    written = json.loads(json.dumps(recipe(Sequences("ab\n\u00e9", 7, 3.5, ("x", "y"), (0.5, 0.5), True))))
    again = rebuild(written)
    assert again.characters == "ab\n\u00e9" and again.dims == 3.5 and again.labels == ("x", "y")
    assert again.conditional and "family" not in written


# ---------------------------------------------------------------------- sources


def test_files_of_lines(tmp_path) -> None:
    text = "anna\r\nbob\r\n\r\nzoë"
    (tmp_path / "names.txt").write_bytes(text.encode())
    (tmp_path / "names.txt.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "old.txt").write_bytes(text.encode("cp1252"))
    for name in ("names.txt", "names.txt.gz", "old.txt"):
        source = read(tmp_path / name)
        assert source.values == ["anna", "bob", "zoë"], name
        assert any("1 blank lines" in note for note in source.notes)
    (tmp_path / "few.smi").write_text("CCO ethanol\nc1ccccc1\tbenzene\n")
    assert read(tmp_path / "few.smi").values == ["CCO", "c1ccccc1"]


def test_objects_of_lines(tmp_path) -> None:
    for source in (["anna", "bob"], ("anna", "bob"), np.array(["anna", "bob"])):
        found = read(source)
        assert isinstance(found, TextSource) and found.values == ["anna", "bob"]
    with pytest.raises(DataError) as error:  # names of pictures are read as pictures
        read(["one.png", "two.png"])
    assert error.value.code != "E211"
    labelled = read(["anna", "bob", "ana"], labels=["f", "m", "f"])
    assert labelled.labels.tolist() == [0, 1, 0] and labelled.label_names == ("f", "m")
    assert labelled.rows(1, 3).labels.tolist() == [1, 0]
    assert labelled.fingerprint() != read(["anna", "bob", "ana"]).fingerprint()
    assert read(["ab", "c"]).fingerprint() != read(["a", "bc"]).fingerprint()


def test_damage_and_what_is_no_text(tmp_path) -> None:
    cases = {
        "empty.txt": (b"", "E202"), "blank.txt": (b"\n \n", "E202"), "zero.txt": (b"a\0b\n", "E204"),
        "cut.txt.gz": (gzip.compress(b"anna\n" * 50)[:-9], "E204"),
    }  # fmt: skip
    for name, (content, code) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as error:
            detect(read(tmp_path / name))
        assert error.value.code == code, name


def test_detection_says_what_it_found() -> None:
    kind, reasons = detect(read(["anna", "bob", "zoe"]))
    assert isinstance(kind, Sequences) and kind.characters == "abenoz" and kind.length == 4
    assert kind.dims == pytest.approx((4 + 4 + 4) / 3)  # the longest line has no end
    assert "6 characters, at most 4" in reasons[0]
    assert detect(read(["anna", "bob"]), kind="sequences")[0].length == 4
    many = ["ab"] * 200 + ["aß"]
    assert any("'ß'" in reason for reason in detect(read(many))[1])


@pytest.mark.parametrize(
    ("lines", "options", "code"),
    [
        (["a", "b"], {"kind": "vectors"}, "E103"), (["a", "b"], {"likelihood": "gaussian"}, "E103"),
        (["a"], {}, "E207"), (["a", "a"], {}, "E208"), (["", ""], {}, "E202"),
        (["a", "b" * (LONGEST + 1)], {}, "E210"),
    ],
)  # fmt: skip
def test_what_cannot_be_sequences(lines, options, code) -> None:
    with pytest.raises((DataError, UsageError)) as error:
        detect(read(lines), **options)
    assert error.value.code == code


def test_other_data_are_no_sequences(tmp_path) -> None:
    for source in (np.zeros((4, 3)), "digits"):
        with pytest.raises(UsageError, match="sequences"):
            detect(read(source), kind="sequences")
    with pytest.raises(UsageError, match="image-size"):
        read(["anna", "bob"], image_size=8)


def test_the_card_tells_of_lines_and_repeats_none() -> None:
    source = read(["anna", "bob", "anna", "quirin"])
    kind, reasons = detect(source)
    made = card(source, kind, build(source, kind), reasons)
    assert (made["kind"], made["count"], made["shape"]) == ("sequences", 4, [6])
    assert made["characters"] == 8 and made["longest"] == 6 and made["mean_length"] == pytest.approx(17 / 4)
    assert made["duplicates"] == pytest.approx(0.25)
    assert "quirin" not in json.dumps(made)


# ---------------------------------------------------------------------- models


def items(lines: list[str]) -> Items:
    source = read(lines)
    return build(source, detect(source)[0])


@pytest.fixture
def trained():
    lines = [a + b for a in ("an", "bo", "nat") for b in ("a", "na", "to", "tona")] * 10
    data = items(lines)
    with Noise(0, "weights").torch():
        made = presets.vae(data.kind, latent=2)
    return made.model.eval(), data


def test_bits_per_dimension_are_bits_per_character(trained) -> None:
    model, data = trained
    found = evaluate(model, data, samples=5)
    lengths = [
        min(len(line) + 1, data.kind.length)
        for line in data.kind.decode(data.batch(torch.arange(len(data))).x)
    ]
    assert found["bits_per_dim"] == pytest.approx(
        found["nll"] * len(data) / sum(lengths) / math.log(2), rel=1e-5
    )


def test_padding_costs_nothing_and_the_mask_changes_nothing(trained) -> None:
    model, data = trained
    batch = data.batch(torch.arange(12))
    with torch.no_grad():
        masked = model(batch.x, mask=batch.mask, noise=Noise(0))
        plain = model(batch.x, noise=Noise(0))
    torch.testing.assert_close(masked.distortion, plain.distortion)
    torch.testing.assert_close(masked.rate, plain.rate)
    assert bool((masked.px.log_prob(batch.x)[~batch.mask] == 0).all())


def test_results_do_not_depend_on_the_batch(trained) -> None:
    model, data = trained
    whole = evaluate(model, data, samples=3, size=64)
    parts = evaluate(model, data, samples=3, size=7)
    for name in ("elbo", "nll", "rate"):
        assert whole[name] == pytest.approx(parts[name], rel=1e-5)


def test_two_models_of_one_seed_are_the_same_whatever_came_before(kind) -> None:
    made = []
    for _ in range(2):
        torch.rand(3)
        with Noise(4, "weights").torch():
            made.append(presets.vae(kind, latent=2).model)
    for a, b in zip(made[0].parameters(), made[1].parameters(), strict=True):
        assert bool((a == b).all())
    assert made[0].decoder.family.net is not kind.family.net


def test_what_is_drawn_can_be_read_again(trained) -> None:
    model, data = trained
    x = model.sample(200, noise=Noise(1))
    lines = data.kind.decode(x)
    assert bool((data.kind.encode(data.kind.store(lines)).x == x).all())


def test_the_report_shows_lines(trained) -> None:
    model, data = trained
    found = evidence.gather(model, data.kind, data, data.subset(torch.arange(40)), seed=0)
    assert str(found["form"]) == "text" and all(array.dtype != object for array in found.values())
    made = texts.tables(found)
    assert set(made) == {"reconstructions", "samples", "traversals"}
    known = set(data.kind.decode(data.batch(torch.arange(len(data))).x))
    assert {line for _, line in made["samples"]["cells"]} <= known, "the nearest training lines"
    for _, _, line, rebuilt, error in made["reconstructions"]["cells"]:
        width = data.kind.length
        assert int(error) == sum(a != b for a, b in zip(line.ljust(width), rebuilt.ljust(width), strict=True))
    view = View(data.kind)
    x = data.batch(torch.arange(6)).x
    distance = torch.cdist(view.compared(x), view.compared(x))
    assert bool((distance.diagonal() < 1e-3).all()) and float(distance[0, 1]) > 0.5


def test_lines_are_written(kind, tmp_path) -> None:
    lines = ["anna", "bob"]
    outputs.write_items(tmp_path / "a.txt", lines, kind)
    assert (tmp_path / "a.txt").read_text() == "anna\nbob\n"
    outputs.write_items(tmp_path / "a.csv", lines, kind)
    assert (tmp_path / "a.csv").read_text() == "text\nanna\nbob\n"
    outputs.write_items(tmp_path / "a.npz", lines, kind)
    assert np.load(tmp_path / "a.npz")["values"].tolist() == lines
    for name, wrong in (("a.png", lines), ("folder", lines), ("b.txt", ["an\nna"])):
        with pytest.raises(UsageError) as error:
            outputs.write_items(tmp_path / name, wrong, kind)
        assert error.value.code == "E107"
