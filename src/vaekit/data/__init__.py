"""Data: kinds of data, where they come from, and how what they are is found out."""

from vaekit.data.batch import Batch, Items, as_items
from vaekit.data.card import card
from vaekit.data.classes import Classes
from vaekit.data.counts import Counts
from vaekit.data.detect import build, detect
from vaekit.data.detect_table import as_arrays, as_vectors
from vaekit.data.images import Images
from vaekit.data.kind import Kind
from vaekit.data.likelihoods import LIKELIHOODS
from vaekit.data.loaded import Source, TableSource, TextSource
from vaekit.data.matrices import SparseSource
from vaekit.data.parts import Parts, PartsSource
from vaekit.data.sequences import Sequences
from vaekit.data.sources import item, read, split_row
from vaekit.data.sparse import SparseRows
from vaekit.data.tables import Table
from vaekit.data.vectors import Vectors

__all__ = [
    "Batch", "Classes", "Counts", "Images", "Items", "Kind", "LIKELIHOODS", "Parts", "PartsSource",
    "Sequences", "Source", "SparseRows", "SparseSource", "Table", "TableSource", "TextSource", "Vectors",
    "as_arrays", "as_items", "as_vectors", "build", "card", "detect", "item", "read", "split_row",
]  # fmt: skip
