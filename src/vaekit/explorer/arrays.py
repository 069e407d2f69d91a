"""Arrays beside JSON: all in one file of bytes, little-endian, each named by type, shape and where it begins."""

from __future__ import annotations

from typing import Any

import numpy as np

TYPES = {"f4": "<f4", "i4": "<i4", "i2": "<i2", "u1": "|u1"}


class Arrays:
    """Bytes that grow by one array after the other.

    Args:
        content: What is there already, of a length that four divides.

    Example:
        >>> arrays = Arrays()
        >>> arrays.add([1, 2, 3], "u1"), arrays.add([[0.5]], "f4")
        ({'dtype': 'u1', 'shape': [3], 'at': 0}, {'dtype': 'f4', 'shape': [1, 1], 'at': 4})
        >>> len(arrays.bytes)
        8
    """

    def __init__(self, content: bytes = b"") -> None:
        self._parts, self._length = [content], len(content)

    @property
    def bytes(self) -> bytes:
        """The whole file."""
        return b"".join(self._parts)

    def add(self, values: Any, dtype: str) -> dict[str, Any]:
        """Append an array and say where it is; each begins at a multiple of four.

        Args:
            values: Numbers of any shape; NaN stays NaN.
            dtype: `f4`, `i4`, `i2` or `u1`.
        """
        array = np.ascontiguousarray(values, dtype=TYPES[dtype])
        place, content = self._length, array.tobytes()
        content += b"\0" * (-len(content) % 4)
        self._parts.append(content)
        self._length += len(content)
        return {"dtype": dtype, "shape": list(np.shape(values)), "at": place}


def array_at(told: dict[str, Any], content: bytes) -> np.ndarray:
    """The array that `Arrays.add` told of.

    Example:
        >>> arrays = Arrays()
        >>> told = arrays.add([[1.0, 2.0]], "f4")
        >>> array_at(told, arrays.bytes)
        array([[1., 2.]], dtype=float32)
    """
    count = int(np.prod(told["shape"]))
    found = np.frombuffer(content, dtype=TYPES[told["dtype"]], count=count, offset=told["at"])
    return found.reshape(told["shape"])
