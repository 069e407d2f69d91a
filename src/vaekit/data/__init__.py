"""Data: kinds of data, where they come from, and how what they are is found out."""

from vaekit.data.batch import Batch, Items, as_items
from vaekit.data.card import card
from vaekit.data.detect import build, detect
from vaekit.data.images import Images
from vaekit.data.kind import Kind
from vaekit.data.likelihoods import LIKELIHOODS
from vaekit.data.loaded import Source
from vaekit.data.sources import item, read, split_row
from vaekit.data.vectors import Vectors

__all__ = [
    "LIKELIHOODS", "Batch", "Images", "Items", "Kind", "Source", "Vectors", "as_items", "build", "card", "detect",
    "item", "read", "split_row",
]  # fmt: skip
