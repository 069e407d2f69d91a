"""One image file: what its header says, and its pixels in the form and size that all images of a source share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vaekit.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")  # no other decoder of Pillow is ever given a byte
MOST_PIXELS = 100_000_000  # of one image; a header may claim more than a machine can hold
ORIENTATION = 0x0112  # EXIF's name for the camera's rotation


@dataclass
class Header:
    """What a file's first bytes say.

    Attributes:
        size: (width, height) after the camera's rotation.
        form: grey, grey16 or colour.
        alpha: Whether it has transparency.
        frames: Number of pictures in the file.
        reduced: Whether its 16 bits will be read as 8, because Pillow has no such colours.
    """

    size: tuple[int, int]
    form: str
    alpha: bool
    frames: int
    reduced: bool


@dataclass
class Plan:
    """How every file is decoded: one form and one size for all.

    Attributes:
        form: grey, grey16 or colour.
        size: (width, height) of every image.
        image_size: Side of the centre crop, or None to take images as they are.
    """

    form: str
    size: tuple[int, int]
    image_size: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one decoded image, (H, W) or (H, W, 3)."""
        width, height = self.size
        return (height, width, 3) if self.form == "colour" else (height, width)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint16 if self.form == "grey16" else np.uint8)


def read_header(path: Path) -> Header:
    """Size and form of one image file, without decoding it.

    Raises:
        DataError: E210 it claims too many pixels, E211 its values are no pixels.
        Exception: Whatever a damaged file makes a decoder raise.
    """
    with _opened(path) as image:
        width, height = image.size
        size = (height, width) if _orientation(image) in (5, 6, 7, 8) else (width, height)
        form = _form(image, path)
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # an MPO's others are previews
        return Header(
            size, form, image.has_transparency_data, frames, _has_16_bit(image) and form != "grey16"
        )


def decode(path: Path, plan: Plan) -> np.ndarray:
    """One image file's pixels.

    Args:
        path: The file.
        plan: The form and size that all images share.

    Returns:
        (H, W) or (H, W, 3), uint8 or uint16.

    Raises:
        Exception: Whatever a damaged file makes a decoder raise.
    """
    with _opened(path) as image:
        orientation = _orientation(image)
        if (
            plan.image_size is not None
        ):  # a JPEG can leave out, as it decodes, detail that scaling would remove
            image.draft(None, (2 * plan.image_size, 2 * plan.image_size))
        image.load()
        pixels = _pixels(_turned(image, orientation), plan.form)
    if plan.image_size is not None:
        return _cropped(pixels, plan.image_size)
    if pixels.shape != plan.shape:
        raise ValueError(f"its shape is {pixels.shape}, not the {plan.shape} of its header")
    return pixels


def _opened(path: Path) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_many(path, "far too many") from None
    except UnidentifiedImageError:
        raise ValueError("no PNG, JPEG, WebP, TIFF or BMP file") from None
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise _too_many(path, f"{image.width}x{image.height}")
    return image


def _too_many(path: Path, count: str) -> DataError:
    message = f"this image claims {count} pixels; at most {MOST_PIXELS // 10**6} million are read."
    return DataError("E210", message, where=path, hint="make it smaller, or remove it")


def _form(image: Image, path: Path) -> str:
    if image.mode.startswith("I;16"):
        return "grey16"
    if image.mode in ("I", "F"):
        hint = "save such values as a .npy array"
        raise DataError(
            "E211", "this image holds 32-bit values, not 8- or 16-bit pixels.", where=path, hint=hint
        )
    if image.mode in ("1", "L", "LA", "La"):
        return "grey"
    return "grey" if image.mode == "P" and _grey_palette(image) else "colour"


def _grey_palette(image: Image) -> bool:
    entries = np.array(image.getpalette("RGB") or [0, 0, 1]).reshape(-1, 3)
    return bool((entries == entries[:, :1]).all())


def _orientation(image: Image) -> int:
    """The camera's rotation as EXIF numbers it, 1 for none."""
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1  # Pillow turns a TIFF itself; a PNG may hide EXIF behind its pixels, which a header does not reach
    return int(image.getexif().get(ORIENTATION, 1))


def _has_16_bit(image: Image) -> bool:
    tiles = getattr(image, "tile", [])
    if image.format not in ("PNG", "TIFF") or not tiles:
        return False
    arguments = tiles[0][3]
    return ";16" in str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _turned(image: Image, orientation: int) -> Image:
    from PIL.Image import Transpose as T

    turns = {
        2: T.FLIP_LEFT_RIGHT,
        3: T.ROTATE_180,
        4: T.FLIP_TOP_BOTTOM,
        5: T.TRANSPOSE,
        6: T.ROTATE_270,
        7: T.TRANSVERSE,
        8: T.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _pixels(image: Image, form: str) -> np.ndarray:
    if not image.mode.startswith("I;16"):
        pixels = np.asarray(_opaque(image).convert("RGB" if form == "colour" else "L"))
        return pixels * np.uint16(257) if form == "grey16" else pixels  # 255 becomes 65535
    deep = np.array(image, dtype=np.uint16)
    if isinstance(image.info.get("transparency"), int):
        deep[deep == image.info["transparency"]] = 65535
    if form == "grey16":
        return deep
    grey = ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1) if form == "colour" else grey


def _opaque(image: Image) -> Image:
    """The image composited over white, if any of it is transparent."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


def _cropped(pixels: np.ndarray, side: int) -> np.ndarray:
    """Scaled so that the shorter side is `side`, then the central square."""
    from PIL import Image

    height, width = pixels.shape[:2]
    if (height, width) == (side, side):
        return pixels
    factor = side / min(height, width)
    scaled = (max(side, round(width * factor)), max(side, round(height * factor)))
    left, top = (scaled[0] - side) // 2, (scaled[1] - side) // 2
    deep = pixels.dtype == np.uint16  # which Pillow scales only as floats
    image = Image.fromarray(pixels.astype(np.float32) if deep else pixels)
    cropped = np.asarray(
        image.resize(scaled, Image.Resampling.LANCZOS).crop((left, top, left + side, top + side))
    )
    return np.rint(cropped).clip(0, 65535).astype(np.uint16) if deep else cropped
