"""`Patterned` in NumPy."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named

_AXES = {"circulant": 3, "toeplitz": 1, "hashed": 1}


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    values, sizes = fields["values"], tuple(meta["sizes"])
    flat = values.reshape(-1, *values.shape[values.ndim - _AXES[meta["pattern"]] :])
    i, j = np.arange(sizes[0])[:, None], np.arange(math.prod(sizes[1:]))[None, :]
    if meta["pattern"] == "circulant":
        b = values.shape[-1]
        out = flat[:, i // b, j // b, (j - i) % b]
    elif meta["pattern"] == "toeplitz":
        out = flat[:, j - i + sizes[0] - 1]
    else:
        x = np.arange(math.prod(sizes), dtype=np.uint32) ^ np.uint32(meta["seed"])
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        x = x ^ (x >> np.uint32(16))
        found = flat[:, (x >> np.uint32(1)) % np.uint32(values.shape[-1])]
        out = np.where(x & np.uint32(1), -found, found)
    return out.reshape(_shape({"values": values.shape}, meta))


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    return (*shapes["values"][: len(shapes["values"]) - _AXES[meta["pattern"]]], *meta["sizes"])


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("values",))
    named(meta, ("sizes", "pattern", "seed"))
    sizes, pattern, seed = meta["sizes"], meta["pattern"], meta["seed"]
    if pattern not in _AXES or type(seed) is not int or not 0 <= seed < 2**32:
        raise ValueError(f"its pattern {pattern!r} with seed {seed!r} is unknown")
    own = tuple(shapes["values"][len(shapes["values"]) - _AXES[pattern] :])
    if not isinstance(sizes, tuple | list) or not all(type(n) is int and n >= 0 for n in sizes) or not sizes:
        raise ValueError(f"its sizes {sizes!r} are none")
    if pattern == "circulant":
        fits = len(own) == 3 and len(sizes) == 2 and (own[0] * own[2], own[1] * own[2]) == tuple(sizes)
    elif pattern == "toeplitz":
        fits = len(own) == 1 and len(sizes) == 2 and own == (sum(sizes) - 1,)
    else:
        fits = len(own) == 1 and own[0] > 0 and math.prod(sizes) < 2**32
    if not fits:
        raise ValueError(f"{own} values do not make {pattern} entries of the sizes {sizes}")


register("Patterned", dense=_dense, shape=_shape, check=_check)
