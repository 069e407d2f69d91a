"""Tables: every form of file and frame, the type of each column, and every way a table can be dirty."""

from __future__ import annotations

import bz2
import datetime
import decimal
import gzip
import lzma
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas
import pytest

from vaekit.data import TableSource, item, read
from vaekit.data.cells import WIDEST, Grid, delimiter_of
from vaekit.errors import DataError, ResourceError, UsageError

ADULT = Path(os.environ.get("VAEKIT_DATA", "no data")) / "adult" / "adult.csv.gz"


@pytest.fixture
def table(tmp_path):
    """Text or bytes, read as a file of this name."""

    def make(content: str | bytes, name: str = "a.csv", **options) -> TableSource:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        return read(tmp_path / name, **options)

    return make


@pytest.fixture
def refused(table):
    """The error in which reading ends."""

    def make(content: str | bytes, name: str = "a.csv", **options) -> DataError:
        with pytest.raises(DataError) as error:
            table(content, name, **options)
        assert name in error.value.where
        return error.value

    return make


def column(source: TableSource, name: str = "a") -> list:
    """The cells of a column, None for holes."""
    return [None if pandas.isna(value) else value for value in source.frame[name].tolist()]


def one(*cells: str) -> str:
    """A file in which the column a holds these, beside another one."""
    return "a,b\n" + "".join(f"{cell},1\n" for cell in cells)


def said(source: TableSource) -> str:
    return " ".join(source.notes)


# types of columns


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "-2", "+3"], "int64", [1, -2, 3]),
        (["1", "", "3"], "float64", [1.0, None, 3.0]),
        (["1.5", ".5", "2.", "-1e-3", "1E+2"], "float64", [1.5, 0.5, 2.0, -0.001, 100.0]),
        (["1e308", "0.1"], "float64", [1e308, 0.1]),
        (["9223372036854775807", "0"], "int64", [2**63 - 1, 0]),
        (["1", "-", "2", "."], "float64", [1.0, None, 2.0, None]),
        (["x", "-", "y"], None, ["x", "-", "y"]),
        (["true", "FALSE", "True"], "bool", [True, False, True]),
        (["true", "NA", "False"], "object", [True, None, False]),
        (["yes", "no", "yes"], None, ["yes", "no", "yes"]),
        (["007", "12", "13"], None, ["007", "12", "13"]),
        (["0", "0.5", "00.5"], "float64", [0.0, 0.5, 0.5]),
        (["1_000", "2", "3"], None, ["1_000", "2", "3"]),
        (["0x10", "1", "2"], None, ["0x10", "1", "2"]),
        (["1e", "+", "e5", "1.2.3", "--1"], None, ["1e", "+", "e5", "1.2.3", "--1"]),
        (["9" * 70, "x"], None, ["9" * 70, "x"]),
        (["ä", "", "日本"], None, ["ä", None, "日本"]),
        (["a", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "none", "NAN"], None,
         ["a", *[None] * 9, "NAN"]),
        ([" x", "y\t", "  z  "], None, ["x", "y", "z"]),
        ([f"{' ' * 200}1{' ' * 200}", "2"], "int64", [1, 2]),
    ],
)  # fmt: skip
def test_a_column_is_what_all_its_cells_are(table, cells, dtype, values):
    source = table(one(*cells))
    assert column(source) == values
    found = source.frame["a"].dtype
    assert found == dtype if dtype else pandas.api.types.is_string_dtype(found)
    assert source.frame["b"].dtype == "int64" and len(source) == len(cells)


@pytest.mark.parametrize(
    ("cells", "form", "last"),
    [
        (["2020-01-31", "2021-12-01"], "%Y-%m-%d", "2021-12-01"),
        (["2020/01/31", "2021/12/01"], "%Y/%m/%d", "2021-12-01"),
        (["01/02/2020", "31/01/2020"], "%d/%m/%Y", "2020-01-31"),
        (["01/02/2020", "01/31/2020"], "%m/%d/%Y", "2020-01-31"),
        (["31.01.2020", "01.02.2020"], "%d.%m.%Y", "2020-02-01"),
        (["2020-01-31T10:20", "2020-02-01T11:30"], "%Y-%m-%dT%H:%M", "2020-02-01T11:30"),
        (["2020-01-31 10:20:30", "2020-02-01 11:30:40"], "%Y-%m-%d %H:%M:%S", "2020-02-01T11:30:40"),
        (["2020-01-31 10:20:30.5", "2020-02-01 11:30:40.25"], "%Y-%m-%d %H:%M:%S.%f", "2020-02-01T11:30:40.25"),
        (["2020-01-31T10:20:30Z", "2020-02-01T11:30:40Z"], "%Y-%m-%dT%H:%M:%SZ", "2020-02-01T11:30:40+00:00"),
        (["2020-01-31T10:20:30+02:00", "2020-02-01T11:30:40+02:00"], "%Y-%m-%dT%H:%M:%S%z",
         "2020-02-01T11:30:40+02:00"),
        (["2020-01-31T10:20:30+02:00", "2020-02-01T11:30:40+01:00"], "%Y-%m-%dT%H:%M:%S%z",
         "2020-02-01T10:30:40+00:00"),
        (["0001-01-01", "9999-12-31"], "%Y-%m-%d", "9999-12-31"),
    ],
)  # fmt: skip
def test_dates_are_read_in_the_one_format_that_fits(table, cells, form, last):
    source = table(one(cells[0], "", cells[1]))
    assert source.formats == {"a": form} and source.notes == []
    assert pandas.api.types.is_datetime64_any_dtype(source.frame["a"])
    assert column(source)[1] is None and column(source)[2] == pandas.Timestamp(last)
    assert item(table(one(*cells)).rows(1, 2)).formats == {"a": form}


@pytest.mark.parametrize(
    "cells",
    [
        ["2020-01-31", "31.01.2020"],
        ["2020-02-30", "2020-01-01"],
        ["2020-01-31", "soon"],
        ["10:20:30", "11:00:00"],
    ],
)
def test_what_no_one_format_fits_is_text(table, cells):
    source = table(one(*cells))
    assert column(source) == cells and source.formats == {}


def test_days_and_months_that_cannot_be_told_apart_are_said(table):
    source = table(one("01/02/2020", "03/04/2020"))
    assert column(source)[0] == pandas.Timestamp("2020-02-01")
    assert "column a: its dates are read as %d/%m/%Y; %m/%d/%Y would fit" in said(source)


def test_decimal_commas(table):
    source = table("a;b\n1,5;x\n-2,25;\n;z\n")
    assert column(source) == [1.5, -2.25, None] and "decimal commas" in said(source)
    assert column(table("a;b\n1,5;x\n2.5;y\n")) == ["1,5", "2.5"]
    assert column(table("a\tb\n1,5\tx\n", "a.tsv")) == ["1,5"]


def test_what_is_lost_or_kept_is_said(table):
    assert "column a: leading zeros are kept" in said(table(one("007", "008")))
    source = table(one("9223372036854775808", "1"))
    assert column(source) == [2.0**63, 1.0] and "beyond 64 bits" in said(source)
    assert "beyond 2^53" in said(table(one("9007199254740993", "")))
    source = table(one("", "NA"))
    assert column(source) == [None, None] and source.frame["a"].dtype == "float64"
    assert "nothing in it" in said(source)


def test_a_word_among_numbers_is_named(refused, table):
    numbers = "".join(f"{i},{i}\n" for i in range(19))
    error = refused('x,"a\nb"\n' + numbers + f"19,{'long' * 15}\n")
    assert error.code == "E215" and "19 other cells" in error.message
    assert error.message.startswith("'longlong") and len(error.message) < 120
    assert error.where.endswith(r"line 22, row 19, column 'a\nb'")
    assert column(table(one(*"123456789", "x"))) == [*"123456789", "x"]  # too few to tell
    half = [str(i) for i in range(30)] + ["x"] * 2
    assert column(table(one(*half))) == half  # less than 95 %


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity", "+INF", "1e999"])
def test_infinite_numbers_are_named(refused, cell):
    error = refused(one("1", "2.5", cell))
    assert (
        error.code == "E206" and error.where.endswith("line 4, row 2, column 'a'") and cell in error.message
    )


# forms of text


@pytest.mark.parametrize(
    "pack", [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
def test_every_delimiter_and_packing(table, pack, mark):
    text = f'a{mark}"b{mark}c"\n1{mark}"x{mark}y"\n2{mark}z\n'
    for suffix, usual in ((".csv", ","), (".tsv", "\t")):
        source = table(pack[1](text.encode()), f"t{suffix}{pack[0]}")
        assert source.frame.to_dict("list") == {"a": [1, 2], f"b{mark}c": [f"x{mark}y", "z"]}
        assert ("separated by" in said(source)) == (mark != usual)


def test_quotes(table):
    source = table('a,b\n"1","say ""hi"""\n2,"two\nlines"\n "3" , " x "\n4,5" pipe\n5,""\n')
    assert column(source) == [1, 2, 3, 4, 5]
    assert column(source, "b") == ['say "hi"', "two\nlines", "x", '5" pipe', None]
    assert column(table('a,b\n"1",""""\n"2",""""""\n'), "b") == ['"', '""']
    assert table('"a","b"\n"1","2"').frame.dtypes.tolist() == ["int64", "int64"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_blank_lines(table, end):
    source = table(end.join(["", "a,b", "1,2", "", "  ", "3,4", "", ""]))
    assert source.frame.values.tolist() == [[1, 2], [3, 4]]
    assert said(source) == "3 blank lines are skipped."
    assert column(table("a\n1\n\n2\n")) == [1, 2]


def test_encodings(table, refused):
    text = "größe,b\nä,1\n€,2\n"
    for data in (
        text.encode(),
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        b"\xfe\xff" + text.encode("utf-16-be"),
    ):
        source = table(data)
        assert column(source, "größe") == ["ä", "€"] and source.notes == []
    source = table(text.encode("cp1252"))
    assert column(source, "größe") == [
        "ä",
        "€",
    ] and "line 1); it is read as Windows-1252, as in 'größe" in said(source)
    source = table("a,b\nä\x81,1\n".encode("latin-1"))
    assert column(source) == ["ä\x81"] and "Latin-1" in said(source)
    assert refused(text.encode("utf-16-le")).code == "E204"  # without its mark
    assert refused(b"\xff\xfea\x00b").code == "E204"


def test_names(table, refused):
    source = table(" a ,,c\n1,2,3\n")
    assert list(source.frame) == ["a", "column 2", "c"] and "no name over column 2" in said(source)
    source = table("5.1,3.5\n1,2\n")
    assert source.frame.values.tolist() == [[5.1, 3.5], [1, 2]] and list(source.frame) == ["x0", "x1"]
    assert "no header" in said(source)
    assert list(table("0,1,2\n5,6,7\n").frame) == ["0", "1", "2"]
    error = refused("a,b,a\n1,2,3\n")
    assert error.code == "E219" and "'a'" in error.message and error.where.endswith("line 1")


@pytest.mark.parametrize(
    ("content", "code", "where", "words"),
    [
        (b"", "E202", "", "empty"), (b"\n\n \n", "E202", "", "nothing"), (b"\xef\xbb\xbf", "E202", "", "nothing"),
        (b"a,b\n", "E202", "", "no rows"), (b"a,b", "E202", "", "no rows"),
        (b"a,b\n1,2\n\n3\n", "E218", "line 4", "1 cells, the first line 2"),
        (b"a,b\n1,2,3\n", "E218", "line 2", "3 cells, the first line 2"),
        (b'a,b\n"x\ny",2\n3\n', "E218", "line 4", "1 cells"),
        (b'a,b\n1,"x\n2,y\n', "E218", "line 2", "never closed"),
        (b'a,b\n1,"x\n2,"y"\n', "E218", "line 2", "goes on after its closing quote"),
        (b"a,b\n1,\x00\n", "E204", "line 2", "zero byte"),
        (b"a,b\n1,2\n\xff\x01\x02,3\n", "E204", "line 3", "no text"),
        (np.random.default_rng(0).bytes(5000), "E204", "line", ""),
    ],
    ids=str,
)  # fmt: skip
def test_files_that_are_no_table(refused, content, code, where, words):
    error = refused(content)
    assert error.code == code and words in error.message
    assert where in error.where


def test_damaged_packings(refused):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 999 + b"5,6\n", mtime=0)
    for data in (whole[:-9], whole[: len(whole) // 2], whole[:11], whole[:20] + b"\x55" + whole[21:]):
        assert refused(data, "a.csv.gz").code == "E204"
    assert refused(lzma.compress(b"a,b\n1,2\n")[:-5], "a.csv.xz").code == "E204"
    assert refused(gzip.compress(b""), "a.csv.gz").code == "E202"


def test_a_bomb_is_not_unpacked(refused, monkeypatch):
    bomb = gzip.compress(b"1" * (1 << 26), mtime=0)
    monkeypatch.setattr(os, "sysconf", lambda name: 4096)  # 16 MiB
    read_bytes = []
    original = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, n: read_bytes.append(n) or original(self, n))
    assert refused(bomb, "a.csv.gz").code == "E210"
    assert sum(read_bytes) <= 1 << 23
    assert refused(b"1" * (5 << 20)).code == "E210"


def test_wide_and_odd_tables(table):
    names, cells = (",".join(f"{word}{i}" for i in range(2000)) for word in "c1")
    assert table(f"{names}\n{cells}\n").frame.shape == (1, 2000)
    source = table("a\n" + "".join(f"word {i}\n" for i in range(500)))
    assert source.frame["a"].nunique() == 500


@pytest.mark.parametrize("seed", range(5))
def test_what_pandas_writes_comes_back(tmp_path, seed):
    rng = np.random.default_rng(seed)
    alphabet = list("ab ,;\"\n'é|\t") + ["\U0001f600"]
    words = ["w" + "".join(rng.choice(alphabet, 6)) + "w" for _ in range(200)]
    frame = pandas.DataFrame({"x": rng.normal(size=200) * 10.0 ** rng.integers(-300, 300, 200), "w": words})
    frame["n"] = rng.integers(-(2**62), 2**62, 200)
    frame.to_csv(tmp_path / "a.csv", index=False)
    found = read(tmp_path / "a.csv").frame
    assert found["x"].tolist() == frame["x"].tolist() and found["n"].tolist() == frame["n"].tolist()
    assert found["w"].tolist() == words


def test_the_grid_and_its_delimiter():
    assert delimiter_of(b"a,b;c\n1;2\n3;4\n", tabs=False) == ";"
    assert delimiter_of(b"a\n1,2\n", tabs=True) == "\t"
    grid = Grid(b'a,b\n"1,5",2\n' + bytes(WIDEST), ",", Path("x.csv"))
    assert grid.shape == (2, 2) and grid.row(1) == ["1,5", "2"]


# labels, rows and options


def test_labels_are_columns(table):
    text = 'a,b,"a, b"\n1,2,3\n'
    assert table(text).label_columns == ()
    assert table(text, labels="b").label_columns == ("b",)
    assert table(text, labels="b, a").label_columns == ("b", "a")
    assert table(text, labels="a, b").label_columns == ("a, b",)
    with pytest.raises(DataError, match="there is no column 'incom'; did you mean income") as error:
        table("income,b\n1,2\n", labels="incom")
    assert error.value.code == "E214"


@pytest.mark.parametrize("options", [{"key": "x"}, {"image_size": 8}, {"labels": "folders"}, {"labels": [1]}])
def test_options_that_do_not_go_with_a_table(table, options):
    for source in (
        lambda: table("a,b\n1,2\n", **options),
        lambda: read(pandas.DataFrame({"a": [1]}), **options),
    ):
        with pytest.raises(UsageError) as error:
            source()
        assert error.value.code == "E103"


def test_rows_by_number(table, tmp_path):
    table("a,b\n1,x\n2,y\n")
    row = item(f"{tmp_path / 'a.csv'}#1")
    assert row.frame.to_dict("list") == {"a": [2], "b": ["y"]}
    with pytest.raises(UsageError):
        item(str(tmp_path / "a.csv"))


# frames


def test_a_frame_stays_as_it_is():
    frame = pandas.DataFrame({0: [1, 2], "b": ["x", None]}, index=["r", "s"])
    source = read(frame, labels="b")
    assert list(source.frame) == ["0", "b"] and source.frame.index.tolist() == [0, 1]
    assert source.label_columns == ("b",) and "index is no column" in said(source) and source.path == ""
    assert list(frame) == [0, "b"] and frame.index.tolist() == ["r", "s"]


def test_types_that_frames_have_are_kept():
    frame = pandas.DataFrame({
        "i": pandas.array([1, None], "Int64"), "f": pandas.array([0.5, None], "Float64"),
        "b": pandas.array([True, None], "boolean"), "s": pandas.array(["x", None], "string"),
        "c": pandas.Categorical(["x", None]), "t": pandas.to_datetime(["2020-01-01", None], utc=True),
        "u": np.array([1, 2], np.uint8), "h": np.array([1, 2], np.float16),
    })  # fmt: skip
    pandas.testing.assert_frame_equal(read(frame).frame, frame)


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        ([1, 2], "int64", [1, 2]), ([1, None], "float64", [1.0, None]), ([1, 2.5], "float64", [1.0, 2.5]),
        ([2**70, 1], "float64", [2.0**70, 1.0]), ([decimal.Decimal("1.5"), None], "float64", [1.5, None]),
        ([True, None], "object", [True, None]), ([True, False], "bool", [True, False]),
        (["x", None], None, ["x", None]), ([None, None], "float64", [None, None]),
        ([datetime.date(2020, 1, 2), None], None, [pandas.Timestamp("2020-01-02"), None]),
    ],
    ids=str,
)  # fmt: skip
def test_columns_of_objects(cells, dtype, values):
    source = read(pandas.DataFrame({"a": pandas.Series(cells, dtype=object)}))
    assert column(source) == values
    assert dtype is None or source.frame["a"].dtype == dtype
    assert source.formats == ({"a": "%Y-%m-%d"} if isinstance(cells[0], datetime.date) else {})


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        ({"a": [1, 2, "x"]}, "E215", "column 'a' holds str in row 2 ('x')"), ({"a": [[1], [2]]}, "E215", "list"),
        ({"a": [1j, 2]}, "E215", "complex"),
        ({"a": [b"x"]}, "E215", "bytes"), ({"a": [1.0, np.inf]}, "E206", "row 1"),
        ({"a": pandas.array([0.5, np.inf], "Float64")}, "E206", "row 1"),
        ({"a": []}, "E202", "(0, 1)"), ({}, "E202", "(0, 0)"), ({("a", "b"): [1]}, "E212", "several levels"),
        ({1: [1], "1": [2]}, "E219", "'1'"),
    ],
    ids=str,
)  # fmt: skip
def test_frames_that_cannot_be_used(frame, code, words):
    with pytest.raises(DataError) as error:
        read(pandas.DataFrame(frame))
    assert error.value.code == code and words in error.value.message


def test_frames_of_other_packages():
    pyarrow = pytest.importorskip("pyarrow")
    source = read(pyarrow.table({"a": [1, 2], "b": ["x", None]}), labels="b")
    assert column(source) == [1, 2] and column(source, "b") == ["x", None]
    polars = type(
        "DataFrame", (), {"__module__": "polars.dataframe", "to_dict": lambda self, as_series: {"a": [1, 2]}}
    )
    assert column(read(polars())) == [1, 2]


# Parquet and Excel


def test_parquet(tmp_path, refused):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    words = pyarrow.array(["x", "y"]).dictionary_encode()
    when = pyarrow.array([0, 1], pyarrow.timestamp("us", tz="Europe/Berlin"))
    prices = pyarrow.array([decimal.Decimal("1.25"), None])
    days = pyarrow.array([datetime.date(2020, 1, 2)] * 2)
    parquet.write_table(
        pyarrow.table({"w": words, "t": when, "p": prices, "d": days}), tmp_path / "a.parquet"
    )
    source = read(tmp_path / "a.parquet", labels="w")
    assert source.frame["w"].dtype == "category" and str(source.frame["t"].dt.tz) == "Europe/Berlin"
    assert column(source, "p") == [1.25, None] and column(source, "d")[0] == pandas.Timestamp("2020-01-02")
    whole = (tmp_path / "a.parquet").read_bytes()
    for data in (whole[:100], whole[:-1], b"PAR1 no table PAR1", whole[:4] + bytes(50) + whole[54:]):
        assert refused(data, "b.parquet").code == "E204"
    for kind in ([[1], [2]], [{"k": 1}, {"k": 2}]):
        parquet.write_table(pyarrow.table({"nest": kind}), tmp_path / "n.parquet")
        with pytest.raises(DataError, match="column nest holds lists or records") as error:
            read(tmp_path / "n.parquet")
        assert error.value.code == "E215"


def test_excel(tmp_path, refused):
    pytest.importorskip("openpyxl")
    frame = pandas.DataFrame(
        {"n": [1, 2, 3], "x": [0.5, None, 2], "w": ["a", "NA", "c"], "b": [True, False, True]}
    )
    frame["d"] = pandas.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"])
    with pandas.ExcelWriter(tmp_path / "a.xlsx") as book:
        frame.to_excel(book, sheet_name="one", index=False)
        frame.to_excel(book, sheet_name="two", index=False)
    source = read(tmp_path / "a.xlsx", labels="w")
    assert column(source, "n") == [1, 2, 3] and source.frame["n"].dtype == "int64"
    assert column(source, "x") == [0.5, None, 2.0] and column(source, "w") == ["a", None, "c"]
    assert source.frame["b"].dtype == "bool" and column(source, "d")[2] == pandas.Timestamp("2020-01-03")
    assert "the sheet one is read" in said(source)
    whole = (tmp_path / "a.xlsx").read_bytes()
    for data in (whole[:500], b"no workbook"):
        assert refused(data, "b.xlsx").code == "E204"
    frame.iloc[:0].to_excel(tmp_path / "c.xlsx", index=False)
    with pytest.raises(DataError, match="no rows"):
        read(tmp_path / "c.xlsx")
    with zipfile.ZipFile(tmp_path / "d.xlsx", "w") as archive:
        archive.writestr("other", b"")
    with pytest.raises(DataError) as error:
        read(tmp_path / "d.xlsx")
    assert error.value.code == "E204"


@pytest.mark.parametrize(
    ("package", "suffix", "extra"), [("pyarrow", "parquet", "parquet"), ("openpyxl", "xlsx", "excel")]
)
def test_packages_that_are_missing_are_named(tmp_path, monkeypatch, package, suffix, extra):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"a.{suffix}").write_bytes(b"PK\x03\x04 or so")
    with pytest.raises(ResourceError) as error:
        read(tmp_path / f"a.{suffix}")
    assert error.value.code == "E404" and f"vaekit[{extra}]" in error.value.hint


@pytest.mark.skipif(not ADULT.exists(), reason="needs the Adult table")
def test_adult():
    source = read(ADULT, labels="income")
    assert source.frame.shape == (32561, 15) and source.notes == [] and source.formats == {}
    missing = source.frame.isna().sum()
    assert missing[missing > 0].to_dict() == {"workclass": 1836, "occupation": 1843, "native-country": 583}
    whole = ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
    assert [name for name, dtype in source.frame.dtypes.items() if dtype == "int64"] == whole
    assert source.frame["income"].value_counts().to_dict() == {"<=50K": 24720, ">50K": 7841}
