"""Counts and sparse rows: storage that is never dense as a whole, hostile files, the kind, and how it is found."""

from __future__ import annotations

import gzip
import math
import os
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import io, sparse, stats

from vaekit import presets
from vaekit.data import Items, Source, as_items, card
from vaekit.data.counts import Counts, detect_counts
from vaekit.data.matrices import SparseSource, compact, from_sparse
from vaekit.data.matrix_files import read_csr_npz, read_mtx
from vaekit.data.sparse import SparseRows
from vaekit.distributions import Gaussian, NegativeBinomial, Noise, Poisson
from vaekit.errors import DataError
from vaekit.evaluation import evaluate, scores
from vaekit.networks import DECODER_GAIN
from vaekit.recipes import build, recipe
from vaekit.training import train

CELLS = Path(os.environ.get("VAEKIT_DATA", "no data")) / "scrna-10x" / "tenx_mouse_10000cells_1000genes.npz"


@pytest.fixture
def dense(rng) -> np.ndarray:
    """(40, 7) counts with an empty row at each end and in between, an empty column, and two equal rows."""
    values = rng.poisson(0.7, (40, 7))
    values[[0, 20, 21, 39]], values[:, 3], values[5], values[2, 1] = 0, 0, values[6], 70_000
    return values


@pytest.fixture
def rows(dense) -> SparseRows:
    return from_sparse(sparse.csr_array(dense)).values


def code(call, *arguments) -> str:
    with pytest.raises(DataError) as error:
        call(*arguments)
    return error.value.code


# --- storage


@pytest.mark.parametrize("chunk", [1, 5, 1 << 22])
def test_sparse_rows_say_what_the_dense_ones_would(dense, rows, chunk, monkeypatch) -> None:
    monkeypatch.setattr("vaekit.data.sparse.CHUNK", chunk)
    assert rows.shape == dense.shape and len(rows) == 40 and "40 x 7" in repr(rows)
    sums, squares = rows.moments()
    np.testing.assert_array_equal(sums, dense.sum(0))
    np.testing.assert_array_equal(squares, (dense.astype(float) ** 2).sum(0))
    np.testing.assert_array_equal(rows.totals(), dense.sum(1))
    facts = rows.facts()
    assert facts["range"] == [0, 70_000] and facts["mean"] == pytest.approx(dense.mean(), rel=1e-12)
    assert facts["zeros"] == pytest.approx((dense == 0).mean(), rel=1e-12)
    assert facts["row_totals"] == np.quantile(dense.sum(1), [0, 0.25, 0.5, 0.75, 1]).tolist()
    assert rows.constant_columns().tolist() == np.flatnonzero((dense == dense[0]).all(0)).tolist() == [3]
    np.testing.assert_array_equal(np.concatenate([part[:].numpy() for part in rows.chunks()]), dense)
    places = [rows.row(entry) for entry in range(len(rows.data))]
    assert places == np.nonzero(dense)[0].tolist()


def test_a_full_column_of_one_value_is_constant() -> None:
    values = np.array([[2, 1, -1], [2, 3, -1], [2, 1, -1]])
    rows = from_sparse(sparse.csr_array(values)).values
    assert rows.constant_columns().tolist() == [0, 2]
    assert rows.facts()["range"] == [-1, 3] and rows.facts()["zeros"] == 0


@pytest.mark.parametrize("places", [[3], [], [39, 0, 2, 2, 20], [-1, 5], list(range(40))])
def test_rows_come_dense_in_the_order_asked_for(dense, rows, places) -> None:
    index = torch.tensor(places, dtype=torch.long)
    assert rows[index].dtype == torch.float32
    np.testing.assert_array_equal(rows[index].numpy(), dense[places])
    np.testing.assert_array_equal(rows.subset(index)[:].numpy(), dense[places])
    np.testing.assert_array_equal(rows[5:20:3].numpy(), dense[5:20:3])
    mask = torch.zeros(40, dtype=torch.bool).index_fill(0, index, True)
    np.testing.assert_array_equal(rows[mask].numpy(), dense[mask.numpy()])
    with pytest.raises(IndexError):
        rows[torch.tensor([40])]


@pytest.mark.parametrize("chunk", [3, 1 << 22])
def test_row_keys_are_equal_where_rows_are(dense, rows, chunk, monkeypatch) -> None:
    monkeypatch.setattr("vaekit.data.sparse.CHUNK", chunk)
    keys, classes = rows.keys().numpy(), np.unique(dense, axis=0, return_inverse=True)[1].ravel()
    np.testing.assert_array_equal(keys[:, None] == keys, classes[:, None] == classes)
    assert torch.equal(rows.subset(torch.tensor([7, 2])).keys(), rows.keys()[[7, 2]])


def test_a_key_tells_which_value_stands_in_which_column() -> None:
    values = np.array([[1, 2], [2, 1], [3, 0], [0, 3], [1, 1], [2, 2]])
    assert len(from_sparse(sparse.csr_array(values)).values.keys().unique()) == 6


def test_a_large_matrix_is_never_dense(rng) -> None:
    """200 000 x 20 000 float32 would be 15 GiB; reading, describing and training on it take a thousandth of that."""
    entries = 100_000
    places = rng.integers(0, 200_000, entries), rng.integers(0, 20_000, entries)
    matrix = sparse.coo_array((rng.integers(1, 9, entries), places), shape=(200_000, 20_000))
    tracemalloc.start()
    source = from_sparse(matrix)
    kind, reasons = detect_counts(source)
    items = Items(kind.store(source.values), kind)
    facts = card(source, kind, items, reasons)
    part = items.subset(torch.arange(0, 200_000, 2))
    batch = part.batch(torch.arange(64))
    assert len(part.raw) == 100_000 and isinstance(part.raw, SparseRows)
    assert tracemalloc.get_traced_memory()[1] < 64e6
    tracemalloc.stop()
    assert batch.x.shape == (64, 20_000) and facts["count"] == 200_000
    assert facts["zeros"] == pytest.approx(1 - matrix.tocsr().nnz / 4e9, rel=1e-12)


def test_items_on_sparse_rows_are_those_on_dense_ones(dense, rows) -> None:
    labels = torch.arange(40) % 2
    kind = Counts(7, [0.0] * 7, labels=("a", "b"))
    ours, theirs = (Items(kind.store(values), kind, labels) for values in (rows, dense))
    assert ours.shape == theirs.shape == (7,) and len(ours) == len(theirs) == 40
    for _ in range(2):  # and subsets of subsets
        for a, b in zip(ours.batches(7), theirs.batches(7), strict=True):
            assert torch.equal(a.x, b.x) and torch.equal(a.y, b.y) and torch.equal(a.index, b.index)
        assert torch.equal(ours.raw[:], theirs.raw)
        index = torch.tensor([3, 2, 2, 0])
        ours, theirs = ours.subset(index), theirs.subset(index)
    bare = as_items(sparse.csc_array(dense))
    assert torch.equal(bare.batch(torch.tensor([6, 2])).x, torch.tensor(dense[[6, 2]]).float())
    assert as_items(rows).stored is rows


def test_the_smallest_storage_that_holds_all() -> None:
    top = {255: np.uint8, 256: np.uint16, 65536: np.int32, 2**24: np.int32, 2**24 + 1: np.float64}
    for value, dtype in top.items():
        for given in (np.int64, np.float64):
            assert compact(np.array([1, value], given)).dtype == dtype
    assert compact(np.array([-1])).dtype == np.int32
    assert compact(np.array([0.5], np.float32)).dtype == np.float32
    rows = from_sparse(sparse.csr_array(np.array([[2**24 + 1, 0]]))).values
    assert rows[:].tolist() == [[2**24 + 1, 0]]


# --- sources


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64, np.float32, np.float64])
def test_every_sparse_format_is_the_same_source(form, dtype) -> None:
    dense = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [200, 0, 0, 3]])
    source = from_sparse(sparse.coo_array(dense.astype(dtype)).asformat(form))
    np.testing.assert_array_equal(source.values[:].numpy(), dense)
    assert source.values.dtype == np.uint8 and len(source.values.data) == 4
    assert source.fingerprint() == from_sparse(sparse.csr_matrix(dense)).fingerprint()


def test_equal_places_add_up_and_written_zeros_are_left_out() -> None:
    matrix = sparse.csr_array(
        (np.array([200, 100, 0, 5], np.uint8), np.array([2, 2, 1, 0]), np.array([0, 4])), (1, 3)
    )
    before = matrix.data.copy()
    rows = from_sparse(matrix).values
    assert rows[:].tolist() == [[5, 0, 300]] and len(rows.data) == 2 and rows.indices.tolist() == [0, 2]
    np.testing.assert_array_equal(matrix.data, before)  # the user's own is as it was


def test_a_fingerprint_knows_values_places_and_labels(dense) -> None:
    def of(values: np.ndarray, labels: np.ndarray | None = None) -> str:
        source = from_sparse(sparse.csr_array(values))
        source.labels, source.label_names = labels, ("a", "b")
        return source.fingerprint()

    other = dense.copy()
    other[1, 0] += 1
    labels = np.arange(40) % 2
    wider = np.hstack([dense, np.zeros((40, 1), int)])
    assert (
        len({of(dense), of(other), of(wider), of(dense[::-1]), of(dense, labels), of(dense, 1 - labels)}) == 6
    )
    assert of(dense) == of(dense.copy())


def test_rows_of_a_source_keep_what_is_known(dense) -> None:
    source = from_sparse(sparse.csr_array(dense))
    source.labels, source.label_names, source.names = np.arange(40), ("x",) * 40, [str(i) for i in range(40)]
    source.path, source.notes = "a.mtx", ["said"]
    part = source.rows(3, 6)
    np.testing.assert_array_equal(part.values[:].numpy(), dense[3:6])
    assert part.labels.tolist() == [3, 4, 5] and part.names == ["3", "4", "5"] and len(part) == 3
    assert part.path == "a.mtx" and part.notes == ["said"] and part.notes is not source.notes


# --- files


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_npz_files_of_scipy(dense, tmp_path, form) -> None:
    path = tmp_path / "a.npz"
    sparse.save_npz(path, sparse.csr_matrix(dense).asformat(form))
    source = read_csr_npz(path)
    np.testing.assert_array_equal(source.values[:].numpy(), dense)
    assert source.path == str(path) and source.labels is None
    assert source.fingerprint() == from_sparse(sparse.csr_array(dense)).fingerprint()


def saved(path: Path, **changes: object) -> Path:
    matrix = sparse.csr_array(np.array([[0, 1, 2], [3, 0, 0]], np.uint16))
    parts = {
        "data": matrix.data,
        "indices": matrix.indices,
        "indptr": matrix.indptr,
        "shape": np.array([2, 3]),
    }
    np.savez(path, **{name: value for name, value in (parts | changes).items() if value is not None})
    return path


def test_plain_npz_files_with_the_three_arrays(tmp_path) -> None:
    source = read_csr_npz(saved(tmp_path / "a.npz", y=np.array(["b", "a"]), genes=np.array(["x", "y", "z"])))
    assert source.values[:].tolist() == [[0, 1, 2], [3, 0, 0]]
    assert source.labels.tolist() == [1, 0] and source.label_names == ("a", "b")
    asked = read_csr_npz(saved(tmp_path / "b.npz", kind=np.array([5, 5])), labels="kind")
    assert asked.label_names == ("5",)
    unused = read_csr_npz(saved(tmp_path / "c.npz", y=np.array([0.5, 1.5])))
    assert unused.labels is None and "not used as labels" in unused.notes[0]
    assert code(read_csr_npz, saved(tmp_path / "d.npz"), "kind") == "E214"
    assert code(read_csr_npz, saved(tmp_path / "e.npz", kind=np.array([0.5, 1.5])), "kind") == "E214"
    longer = read_csr_npz(
        saved(tmp_path / "f.npz", data=np.array([1, 2, 3, 9]), indices=np.array([1, 2, 0, 99]))
    )
    assert longer.values[:].tolist() == [
        [0, 1, 2],
        [3, 0, 0],
    ]  # SciPy's arrays may have room behind their ends


@pytest.mark.parametrize("missing", ["data", "indices", "indptr", "shape"])
def test_another_npz_file_is_none_of_these(tmp_path, missing) -> None:
    assert read_csr_npz(saved(tmp_path / "a.npz", **{missing: None})) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"indices": np.array([1, -2, 0])}, "E204"),
        ({"indices": np.array([1, 3, 0])}, "E204"),
        ({"indices": np.array([1.0, 2.0, 0.0])}, "E204"),
        ({"indices": np.array([[1, 2, 0]])}, "E204"),
        ({"indices": np.array([1, 2])}, "E204"),
        ({"data": np.array([1, 2])}, "E204"),
        ({"indptr": np.array([0, 3, 2])}, "E204"),
        ({"indptr": np.array([1, 2, 3])}, "E204"),
        ({"indptr": np.array([0, 2, 4])}, "E204"),
        ({"indptr": np.array([0, -1, 3])}, "E204"),
        ({"indptr": np.array([], int)}, "E204"),
        ({"indptr": np.array([0, 3])}, "E204"),
        ({"shape": np.array([3, 3])}, "E204"),
        ({"shape": np.array([2, 2])}, "E204"),
        ({"shape": np.array([-1, 3])}, "E204"),
        ({"shape": np.array([2, 3, 1])}, "E204"),
        ({"shape": np.array([2.0, 3.0])}, "E204"),
        ({"shape": np.array([2, 2**62])}, "E210"),
        ({"shape": np.array([2**61, 3])}, "E210"),
        ({"shape": np.array([0, 3]), "indptr": np.array([0])}, "E202"),
        ({"data": np.array([1.0, np.nan, 2.0])}, "E206"),
        ({"data": np.array([1j, 2, 3])}, "E211"),
        ({"data": np.array(["a", "b", "c"])}, "E211"),
        ({"format": np.array(b"bsr")}, "E211"),
        ({"format": np.array(7)}, "E211"),
    ],
)  # fmt: skip
def test_npz_files_that_contradict_themselves_are_refused(tmp_path, changes, expected) -> None:
    path = saved(tmp_path / "a.npz", **changes)
    with pytest.raises(DataError) as error:
        read_csr_npz(path)
    assert error.value.code == expected and str(path) in error.value.where


def test_a_csc_file_is_held_against_its_columns(tmp_path) -> None:
    good = {"format": np.array("csc"), "shape": np.array([3, 2])}  # the same three arrays, read by columns
    assert read_csr_npz(saved(tmp_path / "a.npz", **good)).values[:].tolist() == [[0, 3], [1, 0], [2, 0]]
    assert code(read_csr_npz, saved(tmp_path / "b.npz", **good | {"indices": np.array([1, 3, 0])})) == "E204"


def test_npz_files_that_are_damaged_or_hold_objects_are_refused(tmp_path) -> None:
    path = saved(tmp_path / "a.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    assert code(read_csr_npz, path) == "E204"
    place = whole.index(b"\x93NUMPY") + 128
    path.write_bytes(
        whole[:place] + b"\xff\xff" + whole[place + 2 :]
    )  # another byte than the archive's checksum says
    assert code(read_csr_npz, path) == "E204"
    path = tmp_path / "b.npz"
    np.savez(path, data=np.array([{}], dtype=object), indices=[0], indptr=[0, 1], shape=[1, 1])
    assert code(read_csr_npz, path) == "E204"
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    path = saved(tmp_path / "c.npz", data=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("data.npy", header.ljust(127) + b"\n")
    assert code(read_csr_npz, path) == "E204"


def test_the_single_cells_are_read(tmp_path) -> None:
    if not CELLS.exists():
        pytest.skip("shared data are not here")
    source = read_csr_npz(CELLS)
    held = np.load(CELLS)
    expected = sparse.csr_array(
        (held["data"], held["indices"].astype(int), held["indptr"]), tuple(held["shape"])
    )
    assert source.values.shape == (10_000, 1_000) and len(source.values.data) == len(held["data"])
    np.testing.assert_array_equal(source.values.totals(), expected.sum(1))
    kind, reasons = detect_counts(source)
    assert isinstance(kind.family, NegativeBinomial) and "93.1% are 0" in reasons[0]
    np.testing.assert_allclose(
        np.exp(kind.log_mean[:50]), expected.mean(0)[:50].clip(0.5 / 10_000), rtol=2e-6
    )


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("field", ["integer", "real", "pattern"])
def test_matrix_market_files(dense, tmp_path, zipped, field) -> None:
    values = (dense > 0).astype(int) if field == "pattern" else dense
    path = tmp_path / ("a.mtx.gz" if zipped else "a.mtx")
    with gzip.open(path, "wb") if zipped else open(path, "wb") as file:
        io.mmwrite(file, sparse.coo_array(values), field=field)
    source = read_mtx(path)
    np.testing.assert_array_equal(source.values[:].numpy(), values)
    assert source.path == str(path) and not source.notes


def test_a_matrix_market_file_of_all_entries(tmp_path) -> None:
    io.mmwrite(tmp_path / "a.mtx", np.array([[0.0, 1.5], [2.0, 0.0]]))
    assert read_mtx(tmp_path / "a.mtx").values[:].tolist() == [[0, 1.5], [2, 0]]


@pytest.mark.parametrize("name", ["barcodes.tsv", "barcodes.tsv.gz"])
def test_genes_by_cells_are_turned_where_barcodes_say_so(dense, tmp_path, name) -> None:
    io.mmwrite(tmp_path / "matrix.mtx", sparse.coo_array(dense.T))
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "wb") as file:
        file.write(b"ACGT-1\n" * 40)
    source = read_mtx(tmp_path / "matrix.mtx")
    np.testing.assert_array_equal(source.values[:].numpy(), dense)
    assert "turned" in source.notes[0]
    with opened(tmp_path / name, "wb") as file:
        file.write(b"ACGT-1\n" * 7)
    assert read_mtx(tmp_path / "matrix.mtx").values.shape == (7, 40)
    io.mmwrite(tmp_path / "matrix.mtx", sparse.coo_array(dense[:7]))
    square = read_mtx(tmp_path / "matrix.mtx")  # where both would fit, the file is taken as it is
    np.testing.assert_array_equal(square.values[:].numpy(), dense[:7])


HEAD = "%%MatrixMarket matrix coordinate integer general\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "E204"),
        ("not a matrix\n1 1 1\n", "E204"),
        (HEAD, "E204"),
        (HEAD + "2 3 2\n1 1 5\n", "E204"),
        (HEAD + "2 3 1\n3 1 5\n", "E204"),
        (HEAD + "2 3 1\n0 1 5\n", "E204"),
        (HEAD + "2 3 1\n1 1 five\n", "E204"),
        (HEAD + "2 3 1000000000000\n1 1 5\n", "E204"),
        (HEAD + "2 3 1\n1 1 -5\n", "E203"),
        (HEAD + f"2 {2**50} 1\n1 1 5\n", "E210"),
        (HEAD + f"{2**50} 2 1\n1 1 5\n", "E210"),
        (HEAD + "0 0 0\n", "E202"),
        (HEAD.replace("integer", "complex") + "1 1 1\n1 1 5 1\n", "E211"),
        (HEAD.replace("integer", "real") + "1 1 1\n1 1 nan\n", "E206"),
    ],
)
def test_damaged_matrix_market_files_are_refused(tmp_path, text, expected) -> None:
    path = tmp_path / "a.mtx"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_mtx(path)
    assert error.value.code == expected and str(path) in error.value.where
    if expected == "E203":
        assert "row 0, column 0 holds -5" in error.value.message
    if "1000000000000" in text:  # it is said before anything is reserved
        assert "claims 1,000,000,000,000 entries" in error.value.message


def test_room_is_asked_for_before_anything_is_read(tmp_path, monkeypatch) -> None:
    plain, packed = tmp_path / "a.mtx", saved(tmp_path / "a.npz")
    plain.write_text(HEAD + "2 3 1\n1 1 5\n")
    monkeypatch.setattr("vaekit.data.checks.os.sysconf", lambda name: 1)  # a machine of one byte
    monkeypatch.setattr("numpy.load", None)
    monkeypatch.setattr("scipy.io.mmread", None)
    assert code(read_mtx, plain) == code(read_csr_npz, packed) == "E210"


@pytest.mark.parametrize("read", [read_mtx, read_csr_npz])
def test_what_the_system_refuses_is_no_damage(tmp_path, read) -> None:
    with pytest.raises(OSError):
        read(tmp_path / "none")


def test_a_gzip_file_cut_short_is_refused(dense, tmp_path) -> None:
    path = tmp_path / "a.mtx.gz"
    with gzip.open(path, "wb") as file:
        io.mmwrite(file, sparse.coo_array(dense))
    path.write_bytes(path.read_bytes()[:-20])
    assert code(read_mtx, path) == "E204"


# --- the kind


@pytest.mark.parametrize("arguments", [(0, []), (2, [0.0]), (1, [math.inf]), (1, [-math.inf])])
def test_arguments_out_of_range_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match="log_mean"):
        Counts(*arguments)


def test_recipe_round_trip_keeps_every_argument() -> None:
    kind = Counts(2, [0.1, -3.5], Poisson(), ("a",), (1.0,), conditional=True)
    again = build(recipe(kind))
    assert recipe(again) == recipe(kind) and again.log_mean == [0.1, -3.5] and type(again.family) is Poisson
    assert again.labels == ("a",) and again.conditional and again.shape == (2,) and not again.shows_mean
    default = build(recipe(Counts(3, [0.0] * 3)))
    assert type(default.family) is NegativeBinomial and default.family.dim == 3


def test_store_takes_what_counts_come_as(dense) -> None:
    kind, expected = Counts(7, [0.0] * 7), torch.tensor(dense).float()
    for came in (
        dense,
        dense.astype(np.float64),
        dense.tolist(),
        torch.tensor(dense),
        dense.astype(np.uint32),
    ):
        assert torch.equal(kind.store(came), expected) and kind.store(came).dtype == torch.float32
    assert torch.equal(kind.store(dense[2]), expected[2:3])
    stored = kind.store(sparse.csr_matrix(dense))
    assert isinstance(stored, SparseRows) and torch.equal(stored[:], expected)
    large = kind.store(np.full((1, 7), 2**24 + 1))
    assert large.dtype == torch.float64 and float(large[0, 0]) == 2**24 + 1
    given = dense.astype(np.float32)
    kind.store(given)[:] = -1
    np.testing.assert_array_equal(given, dense)  # the user's own is as it was


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ((3, 5), -1, "E203"),
        ((3, 5), 0.5, "E203"),
        ((3, 5), np.nan, "E206"),
        ((3, 5), np.inf, "E206"),
        (None, 0, "E212"),
    ],
)
def test_what_is_no_count_is_refused_by_row_and_column(
    dense, form, place, value, expected, monkeypatch
) -> None:
    monkeypatch.setattr("vaekit.data.checks.CHUNK_BYTES", 56 * 3)  # the row stands in a later part
    values = dense.astype(np.float64)
    if place is not None:
        values[place] = values[30, 0] = value
    with pytest.raises(DataError) as error:
        Counts(7 if place else 6, [0.0] * (7 if place else 6)).store(form(values))
    assert error.value.code == expected
    if expected == "E203":
        assert f"row 3, column 5 holds {value:g}, the first of 2 values" in error.value.message


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.zeros((2, 7, 1)), "E212"),
        (np.zeros(6), "E212"),
        (np.zeros((0, 7)), "E202"),
        (np.array([["a"] * 7]), "E211"),
    ],
)
def test_other_arrays_are_refused(values, expected) -> None:
    assert code(Counts(7, [0.0] * 7).store, values) == expected


def test_the_model_sees_counts_and_gives_counts(dense) -> None:
    kind = Counts(7, [0.0] * 7, labels=("a", "b"), conditional=True)
    batch = kind.encode(kind.store(dense), torch.zeros(40, dtype=torch.long))
    np.testing.assert_array_equal(batch.x.numpy(), dense)
    assert batch.c.tolist() == [[1.0, 0.0]] * 40
    decoded = kind.decode(batch.x)
    assert decoded.dtype == np.int64
    np.testing.assert_array_equal(decoded, dense)
    assert kind.decode(torch.tensor([[0.4, 0.6, 3e9, 1.0, 2.0, 0.0, 7.0]]))[0, :3].tolist() == [
        0,
        1,
        3_000_000_000,
    ]
    assert kind.log_volume(batch) == 0


def test_the_encoder_sees_logarithms_of_size_about_one(rng) -> None:
    mean = np.array([0.001, 0.1, 1.0, 30.0, 3000.0])
    kind = Counts(5, np.log(mean).tolist())
    seen = kind.encoder(4, condition=2).features(
        torch.tensor(rng.poisson(mean, (4000, 5)), dtype=torch.float32)
    )
    assert (seen.mean(0).abs() < 0.5).all() and (seen.std(0) < 1.5).all() and (seen.std(0)[2:] > 0.7).all()
    net = kind.encoder(4, condition=2)
    x = torch.tensor([[0.0, 1, 2, 3, 1e8]])
    assert net(x, torch.eye(2)[:1]).isfinite().all()
    again = build(recipe(net))
    again.load_state_dict(net.state_dict())
    assert torch.equal(again(x, torch.eye(2)[:1]), net(x, torch.eye(2)[:1]))


def test_a_likelihood_with_other_parameters_begins_as_it_does_elsewhere() -> None:
    decoder = Counts(3, [5.0] * 3).decoder(2, Gaussian())
    assert decoder(torch.zeros(1, 2)).abs().max() < 1e-6


@pytest.mark.parametrize("family", [None, Poisson(), NegativeBinomial()])
def test_training_begins_where_every_column_is_independent(rng, family) -> None:
    mean = np.array([0.01, 0.5, 4.0, 900.0] * 20)
    kind = Counts(80, np.log(mean).tolist(), family)
    with Noise(0, "weights").torch():
        decoder = kind.decoder(3)
    params = decoder(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)))
    found = params[:, :80]
    assert params.shape[1] == kind.family.size(80)
    assert (found.detach().mean(0) - torch.tensor(mean).log()).abs().max() < 4 * DECODER_GAIN
    assert float((found.detach() - torch.tensor(mean).log()).square().mean()) < 2 * DECODER_GAIN**2
    assert params[:, 80:].detach().abs().mean() < 0.2 or params.shape[1] == 80


def test_the_bound_is_in_nats_of_the_counts_themselves(rng) -> None:
    """A model that cannot use its latent is a Poisson distribution for each column: its score is SciPy's."""
    mean = np.array([0.5, 4.0, 20.0])
    values = rng.poisson(mean, (64, 3))
    kind = Counts(3, np.log(mean).tolist(), Poisson())
    model, _ = presets.vae(kind, latent=2)
    with torch.no_grad():
        for part in (model.decoder.net.last, model.bottleneck.posterior.net):
            part.weight.zero_()
    items = Items(kind.store(sparse.csr_array(values)), kind)
    found = evaluate(model.eval(), items)
    assert found["distortion"] == pytest.approx(-stats.poisson.logpmf(values, mean).sum(1).mean(), rel=1e-6)
    assert found["bits_per_dim"] == pytest.approx(-found["elbo"] / 3 / math.log(2), rel=1e-9)
    torch.testing.assert_close(scores(model, items)[:5], scores(model, items.subset(torch.arange(5))))


def test_training_on_sparse_counts_finds_what_the_columns_share(rng) -> None:
    """Two groups with opposite columns: 8 counts that know the group are worth more nats than it takes to say it."""
    group = rng.integers(0, 2, 600)
    mean = np.where((group[:, None] == np.arange(8) % 2), 8.0, 0.5)
    source = from_sparse(sparse.csr_array(rng.poisson(mean)))
    kind, _ = detect_counts(source)
    items = Items(kind.store(source.values), kind)
    with Noise(0, "weights").torch():
        model, objective = presets.vae(kind, latent=2)
    before = evaluate(model.eval(), items)["elbo"]
    for now in train(model, objective, items, steps=300, lr=3e-3):
        assert now.loss.isfinite()
    after = evaluate(model.eval(), items)["elbo"]
    best = stats.poisson.logpmf(items.raw[:].numpy(), mean).sum(1).mean() - math.log(
        2
    )  # the group said, no more
    assert after > before + 5 and best - 2 < after < best + 0.5
    new = kind.decode(model.sample(200, noise=Noise(0, "new")))
    assert abs(new.mean() - 4.25) < 0.6
    assert (new[:, ::2].sum(1) > 16).mean() == pytest.approx(0.5, abs=0.15)


# --- finding it out


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("theta", [None, 0.5, 5.0])
def test_the_likelihood_follows_the_variances(rng, form, theta) -> None:
    mean = rng.uniform(0.2, 6.0, 30)
    rate = mean if theta is None else rng.gamma(theta, mean / theta, (3000, 30))
    values = form(rng.poisson(rate, (3000, 30)))
    source = Source(values) if form is np.asarray else from_sparse(values)
    kind, reasons = detect_counts(source)
    assert type(kind.family) is (Poisson if theta is None else NegativeBinomial)
    assert len(reasons) == 2 and all(reason.endswith(".") for reason in reasons)
    np.testing.assert_allclose(np.exp(kind.log_mean), np.asarray(values.mean(0)).ravel(), rtol=2e-6)
    assert f"{'Poisson' if theta is None else 'NegativeBinomial'}, because the variance" in reasons[1]


def test_a_test_of_poisson_counts_is_wrong_as_seldom_as_it_says(rng) -> None:
    """Five standard errors: of 200 tables of Poisson counts none is taken for wider ones, also of rare counts."""
    for mean in (0.02, 3.0):
        for _ in range(100):
            kind, _ = detect_counts(Source(rng.poisson(mean, (50, 20))))
            assert type(kind.family) is Poisson


def test_labels_and_columns_that_are_never_seen(dense) -> None:
    source = from_sparse(sparse.csr_array(dense))
    source.labels, source.label_names = np.array([0] * 30 + [1] * 10), ("a", "b")
    kind, _ = detect_counts(source)
    assert kind.labels == ("a", "b") and kind.frequencies == (0.75, 0.25)
    assert kind.log_mean[3] == pytest.approx(math.log(0.5 / 40), abs=1e-6)
    again = build(recipe(kind))
    assert recipe(again) == recipe(kind)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[1, -1], [0, 2]], "E203"),
        ([[1, 0.5], [0, 2]], "E203"),
        ([[1, 2]], "E207"),
        ([[0, 0], [0, 0]], "E208"),
    ],
)
def test_what_are_no_counts_is_refused(values, expected) -> None:
    for source in (Source(np.array(values), path="a"), from_sparse(sparse.csr_array(values))):
        source.path = "a"
        with pytest.raises(DataError) as error:
            detect_counts(source)
        assert error.value.code == expected and error.value.where == "a"
    assert code(detect_counts, Source(np.ones((2, 2, 2)))) == "E212"


def test_a_card_of_sparse_counts(dense) -> None:
    source = SparseSource(from_sparse(sparse.csr_array(dense)).values, path="/secret/cells.mtx")
    kind, reasons = detect_counts(source)
    facts = card(source, kind, Items(kind.store(source.values), kind), reasons)
    assert facts["source"] == "cells.mtx" and facts["kind"] == "counts" and facts["shape"] == [7]
    assert facts["zeros"] == pytest.approx((dense == 0).mean()) and facts["range"] == [0, 70_000]
    assert facts["row_totals"] == np.quantile(dense.sum(1), [0, 0.25, 0.5, 0.75, 1]).tolist()
    assert facts["duplicates"] == pytest.approx(1 - len(np.unique(dense, axis=0)) / 40)
    assert facts["constant_features"] == {"count": 1, "first": [3]} and facts["reasons"] == reasons
    same = card(Source(dense), kind, Items(kind.store(dense), kind), reasons)
    assert {name: same[name] for name in ("zeros", "duplicates", "count")} == {
        name: pytest.approx(facts[name]) for name in ("zeros", "duplicates", "count")
    }
    assert same["mean"] == pytest.approx(facts["mean"])


def test_nothing_warns_where_counts_are_extreme() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kind, _ = detect_counts(Source(np.array([[0, 10**8], [0, 1], [1, 0]])))
        assert np.isfinite(kind.log_mean).all()
