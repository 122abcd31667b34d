"""Limits of the format, which its writer and its readers share, and the budget of a reader."""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Iterator
from typing import Any

from compressjax.coding._errors import ArtifactError

AXES = 32  # of an array
NODES = 32  # nodes and tuples inside each other, in one leaf
CONTAINERS = 200  # containers inside each other
PATH = 1 << 16  # characters of a leaf's path
ENTRIES = 1 << 48  # of an array; also the largest stored size
BLOCK = 1 << 16  # entries that a decoder holds besides its result

_BYTES = 1 << 30
_BYTES_PER_BYTE = 256
_WORK = 1 << 27
_WORK_PER_BYTE = 32
_ARRAYS = 8192  # arrays whose own overhead is not charged
_OVERHEAD = 2048


class Budget:
    """Counts the bytes and the steps that reading a file may still take.

    A step is about the time of one entropy-coded bit. Few bytes of an entropy-coded stream can stand for any number of
    symbols, so a limit on bytes alone does not bound the time.
    """

    def __init__(self, max_bytes: int | None = None, length: int = 0) -> None:
        default = _BYTES + _BYTES_PER_BYTE * length
        self._limit = default if max_bytes is None else operator.index(max_bytes)
        self._left = self._limit
        self._steps = max(_WORK + _WORK_PER_BYTE * length, 0 if max_bytes is None else self._limit)
        self._arrays = 0

    def spend(self, size: int, what: str) -> None:
        """Raises before an allocation that would exceed the limit."""
        if size > self._left:
            raise ArtifactError(
                f"{what} needs {size} bytes but only {self._left} of max_bytes={self._limit} are left; "
                "if you trust the file, pass a larger max_bytes"
            )
        self._left -= size

    @contextlib.contextmanager
    def held(self, size: int, what: str) -> Iterator[None]:
        """Charges memory that is given back."""
        self.spend(size, what)
        yield
        self._left += size

    def work(self, steps: int) -> None:
        """Raises before work that would exceed the limit."""
        self._steps -= steps
        if self._steps < 0:
            raise ArtifactError(
                f"decoding takes more steps than a file of its length may by default, with max_bytes={self._limit}; "
                "if you trust the file, pass a larger max_bytes"
            )

    def array(self) -> None:
        """Charges what an array costs besides its entries."""
        self._arrays += 1
        self.work(1024)
        if self._arrays > _ARRAYS:
            self.spend(_OVERHEAD, "the table of arrays")


def checked_shape(shape: Any) -> tuple[int, ...]:
    """Returns a valid shape from the manifest; no number is multiplied before it is checked."""
    if not isinstance(shape, list) or len(shape) > AXES:
        raise ArtifactError(f"{shown(shape)} is not a shape of at most {AXES} axes; the file is damaged")
    sizes = tuple(checked_count(axis) for axis in shape)
    if math.prod(sizes) > ENTRIES:
        raise ArtifactError(f"{shown(shape)} has more than {ENTRIES} entries; the file is damaged")
    return sizes


def checked_count(count: Any) -> int:
    """Returns a valid size from the manifest."""
    if type(count) is not int or not 0 <= count < ENTRIES:
        raise ArtifactError(f"{shown(count)} is not a size; the file is damaged")
    return count


def shown(item: Any, length: int = 80) -> str:
    """Start of what a file holds, for messages; of containers only the kind, since their text can be long."""
    if isinstance(item, dict | list | tuple) and len(item) > AXES:
        return f"a {type(item).__name__} of {len(item)} items"
    if isinstance(item, int) and item.bit_length() > 256:
        return "an integer of more than 256 bits"
    if isinstance(item, dict | list | tuple) and any(isinstance(part, dict | list | tuple) for part in item):
        return f"a {type(item).__name__}"
    text = repr(item[:length] if isinstance(item, str) else item)
    return text if len(text) <= length + 20 else text[:length] + "..."
