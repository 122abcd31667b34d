"""Arrays of any shapes in one flat array a type, so that different devices hold and send different things alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Vectors = dict[str, jax.Array]


class Slot(NamedTuple):
    """Where a value lies."""

    dtype: str
    start: int
    shape: tuple[int, ...]


class Packing(NamedTuple):
    """Places of some values, by number, and the length of the array of each type."""

    slots: dict[int, Slot]
    widths: dict[str, int]

    def pack(self, values: Mapping[int, Any], widths: Mapping[str, int]) -> Vectors:
        """The values in arrays of at least their lengths."""
        parts: dict[str, list[Any]] = {dtype: [] for dtype in widths}
        for number, slot in self.slots.items():
            parts[slot.dtype].append(jnp.ravel(values[number]).astype(slot.dtype))
        return {
            dtype: jnp.concatenate([*found, jnp.zeros(widths[dtype] - self.widths.get(dtype, 0), dtype)])
            for dtype, found in parts.items()
        }

    def unpack(self, vectors: Vectors) -> dict[int, jax.Array]:
        """The values again."""
        return {
            number: vectors[s.dtype][s.start : s.start + int(np.prod(s.shape))].reshape(s.shape)
            for number, s in self.slots.items()
        }


def packing(numbers: Iterable[int], types: Mapping[int, Any]) -> Packing:
    """Places of values one after another."""
    slots: dict[int, Slot] = {}
    widths: dict[str, int] = {}
    for number in numbers:
        like = types[number]
        if jnp.issubdtype(like.dtype, jax.dtypes.extended):
            raise ValueError(f"pipeline: a value of type {like.dtype} cannot be sent; make keys inside of the function")
        dtype = str(like.dtype)
        start = widths.get(dtype, 0)
        slots[number] = Slot(dtype, start, tuple(like.shape))
        widths[dtype] = start + int(np.prod(like.shape))
    return Packing(slots, widths)


def widest(packings: Sequence[Packing]) -> dict[str, int]:
    """Lengths that hold each of some packings."""
    dtypes = sorted({dtype for one in packings for dtype in one.widths})
    return {dtype: max(one.widths.get(dtype, 0) for one in packings) for dtype in dtypes}
