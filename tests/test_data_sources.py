"""Reading: every form of file and object, what is said about it, and every way it can be bad."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

from vaekit.data import Source, item, read, split_row
from vaekit.data.labels import frequencies, index_labels, same_classes
from vaekit.errors import DataError, UsageError


def code(error) -> str:
    return error.value.code


def said(source: Source) -> str:
    return " ".join(source.notes)


def pixels(seed: int, *shape: int, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def write_idx(path: Path, values: np.ndarray, declared: tuple[int, ...] | None = None) -> Path:
    kinds = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    shape = declared or values.shape
    head = struct.pack(f">HBB{len(shape)}I", 0, kinds[values.dtype.str[1:]], len(shape), *shape)
    data = head + values.astype(values.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(data, 1, mtime=0) if path.suffix == ".gz" else data)
    return path


@pytest.fixture
def folder(tmp_path):
    """(name → PIL image, options of save) as files in a folder."""

    def make(images: dict, **options) -> Path:
        for name, image in images.items():
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, **options)
        return tmp_path / "photos"

    return make


# images: forms


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "webp", "PNG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossless_formats_come_bit_for_bit(folder, suffix, mode):
    a = pixels(0, 2, 6, 9, *((3,) if mode == "RGB" else ()))
    options = {"lossless": True} if suffix == "webp" else {}
    source = read(folder({f"{i}.{suffix}": Image.fromarray(a[i]) for i in range(2)}, **options))
    if suffix == "webp" and mode == "L":
        a = np.repeat(a[..., None], 3, axis=-1)  # WebP knows no grey
    np.testing.assert_array_equal(source.values, a)
    assert source.notes == [] and source.labels is None and source.names == [f"0.{suffix}", f"1.{suffix}"]


def test_jpeg_comes_as_pillow_decodes_it(folder):
    smooth = np.add.outer(np.arange(16), np.arange(24)).astype(np.uint8) * 4
    root = folder({"a.jpg": Image.fromarray(smooth), "b.jpeg": Image.fromarray(smooth)}, quality=95)
    values = read(root).values
    np.testing.assert_array_equal(values[0], np.asarray(Image.open(root / "a.jpg")))
    assert np.abs(values[0].astype(int) - smooth).max() <= 4


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_keeps_its_bits(folder, suffix):
    a = pixels(1, 2, 5, 7, dtype=np.uint16)
    source = read(folder({f"{i}.{suffix}": Image.fromarray(a[i]) for i in range(2)}))
    assert source.values.dtype == np.uint16
    np.testing.assert_array_equal(source.values, a)


def test_big_endian_16_bit_tiff(folder, tmp_path):
    a = pixels(1, 4, 4, dtype=np.uint16)
    image = Image.frombytes("I;16B", (4, 4), a.astype(">u2").tobytes())
    np.testing.assert_array_equal(read(folder({"a.tif": image})).values[0], a)


def test_one_bit_and_palettes(folder):
    bits = np.array([[0, 255] * 4] * 4, np.uint8)
    np.testing.assert_array_equal(read(folder({"a.png": Image.fromarray(bits).convert("1")})).values[0], bits)


def test_palettes_become_grey_or_colour(tmp_path):
    index = np.array([[0, 1, 2, 1]] * 4, np.uint8)
    for name, colours in {
        "grey": [10, 10, 10, 20, 20, 20, 99, 99, 99],
        "colour": [10, 0, 0, 0, 20, 0, 0, 0, 30],
    }.items():
        image = Image.fromarray(index)
        image = image.convert("P")
        image.putdata(index.ravel().tolist())
        image.putpalette(colours)
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "grey").values[0], np.array([10, 20, 99], np.uint8)[index])
    assert read(tmp_path / "colour").values[0, 0].tolist() == [[10, 0, 0], [0, 20, 0], [0, 0, 30], [0, 20, 0]]


def test_cmyk_becomes_rgb(folder):
    root = folder({"a.jpg": Image.new("CMYK", (4, 4), (0, 0, 0, 255))})
    assert read(root).values.shape == (1, 4, 4, 3) and read(root).values.max() < 10


def test_transparency_is_composited_over_white_and_said(folder):
    a = np.zeros((4, 4, 4), np.uint8)
    a[..., 0], a[:2, :, 3], a[2:, :, 3] = 200, 255, 0
    a[3, 3, 3] = 51
    source = read(folder({"a.png": Image.fromarray(a), "b.png": Image.fromarray(a[..., :3])}))
    assert source.values.shape == (2, 4, 4, 3)
    assert source.values[0, 0, 0].tolist() == [200, 0, 0]  # opaque
    assert source.values[0, 2, 0].tolist() == [255, 255, 255]  # transparent
    assert source.values[0, 3, 3].tolist() == [244, 204, 204]  # a fifth of red over white
    assert "1 of 2 files have transparency; they are composited over white" in said(source)


def test_grey_with_transparency_stays_grey(folder):
    a = np.stack([np.full((4, 4), 40), np.full((4, 4), 255)], -1).astype(np.uint8)
    a[0, 0, 1] = 0
    image = Image.merge("LA", [Image.fromarray(np.ascontiguousarray(a[..., i])) for i in range(2)])
    values = read(folder({"a.png": image})).values
    assert values.shape == (1, 4, 4) and values[0, 0, 0] == 255 and values[0, 1, 1] == 40


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_camera_rotation_is_applied(folder, orientation, suffix):
    """The stored pixels are what a camera held that way would have written of `upright`."""
    upright = pixels(2, 6, 9, 3)
    write = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(write[orientation](upright)))
    options = {"lossless": True} if suffix == "webp" else {}
    values = read(folder({f"a.{suffix}": image}, exif=exif, **options)).values
    np.testing.assert_array_equal(values[0], upright)


def test_rotated_jpegs_agree_in_size(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    root = folder({"a.jpg": Image.new("L", (8, 16))}, exif=exif)
    Image.new("L", (16, 8)).save(root / "b.jpg")
    assert read(root).values.shape == (2, 8, 16)


def test_grey_beside_colour_becomes_colour_and_is_said(folder):
    grey = pixels(3, 4, 4)
    source = read(folder({"a.png": Image.fromarray(grey), "b.png": Image.fromarray(pixels(4, 4, 4, 3))}))
    np.testing.assert_array_equal(source.values[0], np.repeat(grey[..., None], 3, -1))
    assert "1 of 2 images are in colour; the grey ones become RGB too" in said(source)


def test_8_bit_beside_16_bit(folder):
    low, high = pixels(3, 4, 4), pixels(4, 4, 4, dtype=np.uint16)
    source = read(folder({"a.png": Image.fromarray(low), "b.png": Image.fromarray(high)}))
    np.testing.assert_array_equal(source.values, [low * np.uint16(257), high])
    assert "1 of 2 images have 16 bit" in said(source)


def test_16_bit_beside_colour_becomes_8_bit_and_is_said(folder):
    high = np.array([[0, 257, 65535, 25700]] * 4, np.uint16)
    source = read(folder({"a.png": Image.fromarray(high), "b.png": Image.fromarray(pixels(4, 4, 4, 3))}))
    assert source.values[0, 0, :, 0].tolist() == [0, 1, 255, 100]
    assert "beside colours they become 8-bit ones" in said(source)


def png(width: int, height: int, depth: int = 8, colour: int = 0, data: bytes = b"") -> bytes:
    """A PNG of one's own, its header true or not."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def test_16_bit_colours_are_said_to_lose_bits(tmp_path):
    row = b"\0" + b"\x80\xff" * 3 * 4
    (tmp_path / "a.png").write_bytes(png(4, 4, 16, 2, row * 4))
    source = read(tmp_path)
    assert source.values.dtype == np.uint8 and source.values[0, 0, 0].tolist() == [128] * 3
    assert "1 of 1 files have 16 bits a channel, which are read as 8" in said(source)


def test_several_pictures_in_a_file_are_said(folder):
    frames = [Image.new("L", (4, 4), colour) for colour in (7, 9)]
    root = folder({"a.tif": frames[0]}, save_all=True, append_images=frames[1:])
    assert read(root).values.ravel().tolist() == [7] * 16
    assert "1 of 1 files hold several pictures; only the first" in said(read(root))


def test_32_bit_pixels_are_refused(folder):
    with pytest.raises(DataError) as error:
        read(folder({"a.tif": Image.fromarray(np.zeros((4, 4), np.float32))}))
    assert code(error) == "E211"


# images: folders


def test_order_is_natural_and_hidden_files_are_left_alone(folder):
    names = ["img10.png", "img9.png", "IMG1.png", "b/2.png", "b/11.png"]
    root = folder({name: Image.new("L", (4, 4), i) for i, name in enumerate(names)})
    for hidden in (".hidden.png", ".cache/x.png", "b/._2.png"):
        (root / hidden).parent.mkdir(exist_ok=True)
        (root / hidden).write_bytes(b"no image")
    (root / "notes.txt").write_text("x")
    (root / "table.csv").write_text("x")
    source = read(root)
    assert source.names == ["b/2.png", "b/11.png", "IMG1.png", "img9.png", "img10.png"]
    assert source.values[:, 0, 0].tolist() == [3, 4, 2, 1, 0]
    assert "1 .txt, 1 .csv" in said(source) or "1 .csv, 1 .txt" in said(source)


def test_sub_folders_are_labels_where_every_image_has_one(folder):
    root = folder(
        {f"2024/{label}/{i}.png": Image.new("L", (4, 4), i) for label in ("cat", "dog") for i in range(2)}
    )
    source = read(root)
    assert source.labels.tolist() == [0, 0, 1, 1] and source.label_names == ("cat", "dog")
    assert "2 sub-folders are the labels: cat, dog" in said(source)
    assert read(root / "2024" / "cat").labels is None
    Image.new("L", (4, 4)).save(root / "2024" / "stray.png")
    assert read(root).labels is None
    with pytest.raises(DataError, match="2024/stray.png") as error:
        read(root, labels="folders")
    assert code(error) == "E214"


def test_splits_are_no_labels_unless_asked_for(folder):
    root = folder(
        {f"{split}/{i}.png": Image.new("L", (4, 4)) for split in ("train", "test") for i in range(2)}
    )
    assert read(root).labels is None and "look like splits, not labels" in said(read(root))
    assert read(root, labels="folders").label_names == ("test", "train")


def test_sizes_never_change_unasked(folder):
    sizes = {"a.png": (8, 6), "b.png": (8, 6), "c.png": (5, 9), "d.png": (4, 4), "e.png": (4, 5)}
    with pytest.raises(DataError) as error:
        read(folder({name: Image.new("L", size) for name, size in sizes.items()}))
    assert code(error) == "E205"
    assert "4 sizes: 8x6 (2, first a.png), 5x9 (1, first c.png), 4x4 (1, first d.png) and 1 more" in str(
        error.value
    )
    assert error.value.hint == "--image-size 4"


def test_image_size_scales_the_shorter_side_and_crops_the_centre(folder):
    stripes = np.zeros((8, 24), np.uint8)
    stripes[:, 8:16] = 200  # the central square
    deep = np.full((6, 4), 65535, np.uint16)
    root = folder({"wide.png": Image.fromarray(stripes), "small.png": Image.new("L", (3, 2), 50)})
    source = read(root, image_size=4)
    assert source.values.shape == (2, 4, 4)
    assert source.values[0].tolist() == [[50] * 4] * 4
    assert (source.values[1] > 180).all()  # the edges of the stripe lie on the edges of the crop
    assert "cropped to the centre 4x4. 1 of them had to be enlarged." in said(source)
    Image.fromarray(deep).save(root / "deep.png")
    assert read(root, image_size=4).values.dtype == np.uint16
    assert (read(root, image_size=4).values[0] == 65535).all()


def test_image_size_that_fits_changes_nothing(folder):
    a = pixels(5, 8, 8)
    source = read(folder({"a.png": Image.fromarray(a)}), image_size=8)
    np.testing.assert_array_equal(source.values[0], a)
    assert source.notes == []


def test_a_large_jpeg_is_scaled_as_faithfully_as_a_png(folder):
    ramp = np.add.outer(np.arange(400), np.arange(600)) * 255 // 998
    image = Image.fromarray(ramp.astype(np.uint8))
    root = folder({"a.jpg": image, "b.png": image})
    a, b = read(root, image_size=16).values.astype(int)
    assert np.abs(a - b).max() <= 4


def test_one_image_file_and_a_list_of_them(folder):
    a = pixels(6, 2, 4, 5)
    root = folder({f"{i}.png": Image.fromarray(a[i]) for i in range(2)})
    assert read(root / "1.png").names == ["1.png"]
    np.testing.assert_array_equal(read(root / "1.png").values, a[1:])
    np.testing.assert_array_equal(read([root / "1.png", root / "0.png"]).values, a[::-1])


# images: damage


@pytest.mark.parametrize("damage", ["truncated", "garbage", "header", "empty"])
def test_few_corrupt_images_are_left_out_and_named(folder, damage):
    root = folder({f"{i}.png": Image.fromarray(pixels(i, 16, 16)) for i in range(200)})
    whole = (root / "7.png").read_bytes()
    broken = {"truncated": whole[:-80], "garbage": b"no image at all", "header": whole[:20], "empty": b""}
    (root / "7.png").write_bytes(broken[damage])
    source = read(root)
    assert len(source.values) == 199 and "7.png" not in source.names
    assert "1 of 200 images could not be read and were left out: 7.png (" in said(source)
    for place, name in enumerate(source.names):
        np.testing.assert_array_equal(source.values[place], pixels(int(name[:-4]), 16, 16))


def test_labels_stay_with_their_images_when_some_are_left_out(folder):
    root = folder({f"{'ab'[i % 2]}/{i}.png": Image.new("L", (4, 4), i) for i in range(150)})
    (root / "a" / "0.png").write_bytes(b"x")
    source = read(root)
    assert [source.label_names[k] for k in source.labels] == ["ab"[v % 2] for v in source.values[:, 0, 0]]


def test_many_corrupt_images_are_an_error(folder):
    root = folder({f"{i}.png": Image.fromarray(pixels(i, 16, 16)) for i in range(100)})
    for name in ("3.png", "5.png"):
        (root / name).write_bytes((root / name).read_bytes()[:-60])
    with pytest.raises(DataError) as error:
        read(root)
    assert code(error) == "E204"
    assert "2 of 100 images cannot be read" in str(error.value) and "3.png (" in str(error.value)


def test_a_bomb_is_refused_by_its_header(tmp_path):
    for side in (10_001, 60_000):
        (tmp_path / "bomb.png").write_bytes(png(side, side))
        tracemalloc.start()
        with pytest.raises(DataError) as error:
            read(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert code(error) == "E210" and "bomb.png" in str(error.value)
        assert peak < 16e6
    (tmp_path / "bomb.png").write_bytes(png(9_999, 10_000))  # allowed, but there are no pixels behind it
    with pytest.raises(DataError) as error:
        read(tmp_path)
    assert code(error) == "E204"


def test_no_other_decoder_is_given_a_byte(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "a.png")
    with pytest.raises(DataError, match="no PNG, JPEG, WebP, TIFF or BMP") as error:
        read(tmp_path)
    assert code(error) == "E204"


def test_folders_without_images(tmp_path):
    with pytest.raises(DataError) as error:
        read(tmp_path)
    assert code(error) == "E202"
    (tmp_path / "a.csv").write_text("1")
    with pytest.raises(DataError, match="1 .csv"):
        read(tmp_path)


# arrays


@pytest.mark.parametrize(
    "values",
    [
        pixels(0, 3, 4, 5), np.arange(6.0).reshape(3, 2), np.arange(6, dtype=">i4").reshape(3, 2),
        np.asfortranarray(pixels(1, 3, 4, 5)), np.ones((2, 3), np.float16), np.ones((2, 3), bool),
        np.ones((2, 3), np.longdouble), pixels(2, 2, 3, 4, 5),
    ],
    ids=lambda a: f"{a.dtype.str}{a.shape}",
)  # fmt: skip
def test_npy_and_npz_come_as_they_are(tmp_path, values):
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", values)
    np.savez_compressed(tmp_path / "b.npz", anything=values)
    for name in ("a.npy", "a.npz", "b.npz"):
        source = read(tmp_path / name)
        np.testing.assert_array_equal(source.values, values)
        assert source.values.dtype.isnative and source.values.itemsize <= 8
        torch.from_numpy(np.array(source.values))
    assert read(tmp_path / "a.npy").path == str(tmp_path / "a.npy")


def test_npy_is_read_whatever_its_suffix(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 3)))
    (tmp_path / "a.npy").rename(tmp_path / "data.bin")
    assert read(tmp_path / "data.bin").values.shape == (2, 3)


def test_npz_takes_the_array_that_is_meant(tmp_path):
    x, y = np.ones((5, 3)), np.array([0, 1, 0, 1, 1])

    def chosen(**arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return read(tmp_path / "a.npz")

    source = chosen(X=x, y=y[:, None])
    assert source.values.shape == (5, 3) and source.labels.tolist() == y.tolist()
    assert "the array X is taken, of X, y" in said(source) and "y holds the labels, 2 classes" in said(source)
    assert chosen(train=x, test=2 * x, test_label=y).labels is None
    train = {
        "train_images": x,
        "train_labels": 1 - y,
        "test_images": 2 * x,
        "test_labels": y,
        "val_images": 3 * x,
    }
    source = chosen(**train)
    assert source.values.max() == 1 and source.labels.tolist() == (1 - y).tolist()
    assert chosen(x_train=x, y_train=y, x_test=x, y_test=1 - y).labels.tolist() == y.tolist()
    assert chosen(images=x, masks=x).values.shape == (5, 3)
    assert chosen(weird=x, name=np.array("text")).values.shape == (5, 3)
    assert chosen(x=x, y=y[:4], labels=1 - y).labels.tolist() == (1 - y).tolist()  # y is of something else
    assert chosen(x=x, y=np.linspace(0, 1, 5)).labels is None  # measurements
    assert "y is not used as labels" in said(read(tmp_path / "a.npz"))
    assert chosen(x=x, y=np.array([0, 1, -1, -1, 0])).labels.tolist() == [0, 1, -1, -1, 0]


def test_npz_key_and_labels_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", first=np.zeros((4, 2)), second=np.ones((4, 3)), kinds=np.array(list("abca")))
    with pytest.raises(DataError) as error:
        read(tmp_path / "a.npz")
    assert code(error) == "E213" and "first (4, 2), second (4, 3)" in str(error.value)
    source = read(tmp_path / "a.npz", key="second", labels="kinds")
    assert source.values.shape == (4, 3) and source.label_names == ("a", "b", "c")
    assert source.labels.tolist() == [0, 1, 2, 0]
    with pytest.raises(DataError, match="did you mean second") as error:
        read(tmp_path / "a.npz", key="secnd")
    assert code(error) == "E213"
    with pytest.raises(DataError, match="did you mean kinds") as error:
        read(tmp_path / "a.npz", key="first", labels="kind")
    assert code(error) == "E214"


def test_a_sparse_npz_that_is_damaged_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.ones(3), indices=np.ones(3), indptr=np.ones(3), shape=np.ones(2))
    with pytest.raises(DataError) as error:
        read(tmp_path / "a.npz")
    assert code(error) == "E204"


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_of_every_type(tmp_path, dtype, suffix):
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    source = read(write_idx(tmp_path / f"data-idx3{suffix}", values))
    np.testing.assert_array_equal(source.values, values)
    assert source.values.dtype == np.dtype(dtype) and source.values.dtype.isnative


@pytest.mark.parametrize(("a", "b"), [(".gz", ".gz"), ("", ""), ("", ".gz"), (".gz", "")])
def test_idx_finds_the_labels_beside_it(tmp_path, a, b):
    images = write_idx(tmp_path / f"train-images-idx3-ubyte{a}", pixels(0, 4, 5, 5))
    assert read(images).labels is None
    labels = write_idx(tmp_path / f"train-labels-idx1-ubyte{b}", np.array([3, 1, 1, 3], np.uint8))
    source = read(images)
    assert source.labels.tolist() == [1, 0, 0, 1] and source.label_names == ("1", "3")
    assert f"{labels.name} holds the labels, 2 classes" in said(source)
    write_idx(labels, np.array([3, 1], np.uint8))
    assert read(images).labels is None and "is not used as labels" in said(read(images))
    with pytest.raises(DataError) as error:
        read(images, labels=str(labels))
    assert code(error) == "E214"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_is_never_in_memory_twice(tmp_path, suffix):
    path = write_idx(tmp_path / f"a-idx3{suffix}", np.zeros((400, 100, 100), np.float32) + 1)
    tracemalloc.start()
    source = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.3 * source.values.nbytes


def test_nothing_is_reserved_for_a_header_that_lies(tmp_path):
    """Headers that promise 40 GB, or more than there is of anything, cost nothing."""
    write_idx(tmp_path / "a-idx3", pixels(0, 2, 4, 4), declared=(40_000, 1000, 1000))
    write_idx(tmp_path / "a-idx3.gz", pixels(0, 2, 4, 4), declared=(40_000, 1000, 1000))
    np.save(tmp_path / "a.npy", np.zeros((2, 8)))
    lie(tmp_path / "a.npy", b"(2, 8)", b"(2, 9)")
    np.save(tmp_path / "b.npy", np.zeros((1000, 1000)))
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-8])
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 8)))
    lie(tmp_path / "a.npz", b"(2, 8)", b"(2, 9)")
    lie_in_archive(tmp_path / "b.npz", "(40000, 1000, 1000)")
    tracemalloc.start()
    for name in ("a-idx3", "a-idx3.gz", "a.npy", "b.npy", "a.npz", "b.npz"):
        with pytest.raises(DataError) as error:
            read(tmp_path / name)
        assert code(error) == "E204", name
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_what_memory_cannot_hold_is_refused_before_it_is_read(tmp_path, monkeypatch, folder):
    np.save(tmp_path / "a.npy", np.zeros((5, 4)))
    np.savez_compressed(tmp_path / "a.npz", np.zeros((5, 4)))
    write_idx(tmp_path / "a-idx2", np.zeros((5, 40), np.uint8))
    images = folder({"a.png": Image.new("L", (20, 20))})
    monkeypatch.setattr(os, "sysconf", lambda name: 8)  # pages of 8 bytes, 8 of them
    for place in ("a.npy", "a.npz", "a-idx2", images, Pairs([np.zeros(5)] * 2)):
        with pytest.raises(DataError) as error:
            read(tmp_path / place if isinstance(place, str) else place)
        assert code(error) == "E210"


def lie(path: Path, true: bytes, false: bytes) -> None:
    path.write_bytes(path.read_bytes().replace(true, false))


def lie_in_archive(path: Path, shape: str) -> None:
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(64))


@pytest.mark.parametrize("shape", ["(-1, 3)", "(2, 'a')", "2", "(1e3, 2)", "__import__('os')", "(" * 300])
def test_headers_of_nonsense(tmp_path, shape):
    lie_in_archive(tmp_path / "a.npz", shape)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        (tmp_path / "a.npy").write_bytes(archive.read("x.npy"))
    for name in ("a.npz", "a.npy"):
        with pytest.raises(DataError) as error:
            read(tmp_path / name)
        assert code(error) == "E204"


def test_every_truncation_and_many_flips_end_in_a_clear_error_or_the_same_data(tmp_path):
    rng = np.random.default_rng(0)
    np.savez_compressed(tmp_path / "a.npz", x=pixels(0, 5, 4))
    write_idx(tmp_path / "a-idx2.gz", pixels(0, 5, 4))
    np.save(tmp_path / "a.npy", pixels(0, 5, 4))
    for name in ("a.npz", "a-idx2.gz", "a.npy"):
        whole = (tmp_path / name).read_bytes()
        cut = [whole[:n] for n in range(len(whole))]
        flipped = [bytearray(whole) for _ in range(200)]
        for data in flipped:
            data[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        for data in [*cut, *flipped]:
            (tmp_path / name).write_bytes(bytes(data))
            try:
                values = read(tmp_path / name).values
            except DataError:
                continue
            assert name == "a.npy" or np.array_equal(values, pixels(0, 5, 4))  # a .npy has no checksum
            assert data not in cut


def test_objects_are_never_unpickled(tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harmed"),)

    np.save(tmp_path / "a.npy", np.array([[Harm()]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([[Harm()]], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError) as error:
            read(tmp_path / name)
        assert code(error) == "E209"
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.zeros((0, 4)), "E202"),
        (np.zeros((4, 0)), "E202"),
        (np.zeros(4), "E212"),
        (np.zeros((1, 1, 1, 1, 4)), "E212"),
        (np.zeros(()), "E212"),
        (np.full((2, 4, 4), np.nan), "E206"),
        (np.array([[1.0], [-np.inf]]), "E206"),
        (np.zeros((2, 2), complex), "E211"),
        (np.array([["a"]]), "E211"),
        (np.zeros((2, 2), "M8[s]"), "E211"),
        (np.zeros((2, 2), [("a", "f4"), ("b", "f4")]), "E211"),
        (np.array([[{}]]), "E209"),
    ],
)
def test_bad_arrays_from_memory_and_files(tmp_path, values, expected):
    with pytest.raises(DataError) as error:
        read(values)
    assert code(error) == expected
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    np.savez(tmp_path / "a.npz", values)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError) as error:
            read(tmp_path / name)
        assert code(error) == expected and name in str(error.value)


def test_rows_that_are_not_finite_are_named(tmp_path, folder):
    values = np.zeros((900, 2000))
    values[[1, 3, 777, 800], 5] = np.inf
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(DataError, match="4 of 900 rows hold infinity, the first: 1, 3, 777"):
        read(tmp_path / "a.npy")


# paths


def test_a_missing_path_names_what_is_there(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "data.npy").write_bytes(b"")
    with pytest.raises(DataError) as error:
        read(tmp_path / "fotos")
    assert code(error) == "E201" and str(tmp_path / "photos") in error.value.hint
    with pytest.raises(DataError, match="there are data.npy, photos"):
        read(tmp_path / "xyz" / "deeper")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.xyz", b"1,2\n", "E211"), ("a.xyz.gz", gzip.compress(b"1,2\n", mtime=0), "E211"), ("a", b"what", "E211"),
        ("a.npy", b"", "E202"), ("a.npy", b"no array", "E204"), ("a.npz", b"no array", "E204"),
        ("a.npz", b"PK\x03\x04 broken", "E204"), ("a-idx3.gz", gzip.compress(b"no idx at all", mtime=0), "E211"),
        ("a.png", b"no image", "E204"), ("b.gz", b"\x1f\x8b broken", "E204"),
    ],
)  # fmt: skip
def test_files_that_are_not_what_they_seem(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read(tmp_path / name)
    assert code(error) == expected and name in str(error.value)


def test_neither_file_nor_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError) as error:
        read(tmp_path / "pipe")
    assert code(error) == "E211"


@pytest.mark.parametrize(
    "options",
    [{"key": "x"}, {"labels": "folders"}, {"image_size": 8}],
    ids=lambda options: next(iter(options)),
)
def test_options_that_do_not_go_with_the_source(tmp_path, options):
    np.save(tmp_path / "a.npy", np.ones((2, 3)))
    with pytest.raises(UsageError) as error:
        read(tmp_path / "a.npy", **options)
    assert error.value.code == "E103"


def test_digits_are_built_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = read("digits")
    assert (
        source.values.shape == (1797, 8, 8) and source.values.dtype == np.uint8 and source.values.max() == 16
    )
    assert source.label_names == tuple("0123456789") and source.labels[:3].tolist() == [0, 1, 2]
    assert source.notes == []
    (tmp_path / "digits").mkdir()
    assert "./digits" in said(read("digits"))


def test_rows_by_number(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(8.0).reshape(4, 2))
    assert split_row("a.npy#3") == ("a.npy", 3) and split_row("a#b") == ("a#b", None)
    (tmp_path / "x#7").write_text("")
    assert split_row(str(tmp_path / "x#7")) == (str(tmp_path / "x#7"), None)
    assert item(f"{tmp_path / 'a.npy'}#2").values.tolist() == [[4, 5]]
    assert item("digits#5").labels.tolist() == [5]
    for text in (f"{tmp_path / 'a.npy'}#4", f"{tmp_path / 'a.npy'}"):
        with pytest.raises(UsageError) as error:
            item(text)
        assert error.value.code == "E103"
    Image.new("L", (5, 4), 9).save(tmp_path / "one.png")
    assert item(str(tmp_path / "one.png")).values.shape == (1, 4, 5)


# objects


class Pairs(Dataset):
    """Items that count how often they were asked for."""

    def __init__(self, rows):
        self.rows, self.asked = rows, 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        self.asked += 1
        return self.rows[i]


def test_objects_in_memory():
    a = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    t = torch.from_numpy(a)
    for came in (a, t, t.clone().requires_grad_(), list(a), list(t), a.tolist(), TensorDataset(t), tuple(a)):
        np.testing.assert_array_equal(read(came).values, a)
    assert read(t.to(torch.bfloat16)).values.dtype == np.float32
    assert read(a).path == "" and read(read(a)) is not None
    images = [Image.fromarray(pixels(i, 4, 5, 3)) for i in range(3)]
    np.testing.assert_array_equal(read(images).values[2], pixels(2, 4, 5, 3))


def test_datasets_of_pairs_bring_their_labels():
    rows = Pairs([(torch.full((1, 4, 4), i), i % 3) for i in range(7)])
    source = read(rows)
    assert source.values.shape == (7, 1, 4, 4) and source.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert rows.asked == 7
    assert read(TensorDataset(torch.zeros(4, 2), torch.tensor([5, 5, 9, 9]))).label_names == ("5", "9")
    source = read(Pairs([(np.zeros(3), np.zeros(2)) for _ in range(4)]))
    assert source.labels is None and "not used as labels" in said(source)


def test_stacking_keeps_fractions_that_come_late():
    assert read(Pairs([np.array([1, 2]), np.array([0.5, 2.0])])).values.tolist() == [[1, 2], [0.5, 2]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([np.zeros(2), np.zeros(3)], "E205"),
        (Pairs([np.zeros(2), np.zeros(3)]), "E205"),
        ([], "E202"),
        (Pairs([]), "E202"),
        ({"x": 1}, "E211"),
        (Pairs([{"x": 1}]), "E211"),
        (42, "E211"),
        (None, "E211"),
        (torch.zeros(2, 2).to_sparse(), "E211"),
        ([1.0, 2.0], "E212"),
        (iter([]), "E211"),
    ],
)
def test_objects_that_are_no_data(data, expected):
    with pytest.raises(DataError) as error:
        read(data)
    assert code(error) == expected


def test_labels_may_be_handed_over():
    source = read(np.zeros((3, 2)), labels=["b", "a", "b"])
    assert source.labels.tolist() == [1, 0, 1] and source.label_names == ("a", "b")
    with pytest.raises(DataError) as error:
        read(np.zeros((3, 2)), labels=[1, 2])
    assert code(error) == "E214"
    with pytest.raises(UsageError):
        read(np.zeros((3, 2)), labels="column")


@pytest.mark.parametrize(
    ("values", "index", "names"),
    [
        ([10, 2, 10], [1, 0, 1], ("2", "10")),
        ([1.0, 0.0, 1.0], [1, 0, 1], ("0", "1")),
        ([True, False, True], [1, 0, 1], ("False", "True")),
        ([-1, 1, -1], [0, 1, 0], ("-1", "1")),
        ([0, 1, -1], [0, 1, -1], ("0", "1")),
        ([[0], [1], [0]], [0, 1, 0], ("0", "1")),
        (np.array(["x", "y", "x"], object), [0, 1, 0], ("x", "y")),
        (np.array([b"x", b"y", b"x"]), [0, 1, 0], ("x", "y")),
    ],
)
def test_labels_of_every_form(values, index, names):
    found, classes = index_labels(values, 3)
    assert found.tolist() == index and classes == names


@pytest.mark.parametrize("values", [[0, 1], [[0, 1], [1, 0], [0, 0]], [0.5, 1, 2], [np.nan, 0, 1]])
def test_labels_that_are_none(values):
    with pytest.raises(DataError) as error:
        index_labels(values, 3)
    assert code(error) == "E214"


def test_too_many_classes():
    with pytest.raises(DataError, match="1001 different labels"):
        index_labels(np.arange(1001), 1001)


def test_classes_are_matched_by_name():
    assert same_classes(np.array([0, 1, 2, -1]), ["dog", "cat", "emu"], ["cat", "dog"]).tolist() == [
        1,
        0,
        -1,
        -1,
    ]
    assert frequencies(np.array([-1, 1, 1, 0]), 3) == pytest.approx((1 / 3, 2 / 3, 0))


def test_the_fingerprint_sees_values_shape_type_and_labels():
    a = np.arange(6.0).reshape(2, 3)
    sources = [Source(a), Source(a.reshape(3, 2)), Source(a.astype(np.float32)), Source(a + 1)]
    sources += [Source(a, np.array([0, 1]), ("a", "b")), Source(a, np.array([0, 1]), ("a", "c"))]
    sources += [Source(a, np.array([1, 0]), ("a", "b"))]
    last = a.copy()
    last[-1, -1] += 1
    sources.append(Source(last))
    assert len({source.fingerprint() for source in sources}) == len(sources)
    assert Source(np.asfortranarray(a), path="elsewhere").fingerprint() == Source(a).fingerprint()
