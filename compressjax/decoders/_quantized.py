"""`Quantized` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import ArtifactError, Bits, register
from compressjax.coding._dtypes import carrier
from compressjax.coding._minifloat import SMALL, numbers
from compressjax.coding._twin import named

# Quantiles of the normal distribution, scaled to [-1, 1], with an exact zero (arXiv:2305.14314).
_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
_TABLES = ("nf4", "float6_e2m3fn", "float6_e3m2fn")


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    stored = fields["codes"]
    if meta.get("table") is not None:
        stored = _levels(meta["table"]).take(stored)
    codes = stored.transpose(np.argsort(_axes(meta, stored.ndim))).astype(np.float32)
    if fields.get("zero_point") is not None:
        codes = codes - expand_blocks(fields["zero_point"], codes.shape).astype(np.float32)
    dense = codes * expand_blocks(fields["scale"], codes.shape).astype(np.float32)
    name = meta.get("dtype_name", "float32")
    return _round_bfloat16(dense) if name == "bfloat16" else dense.astype(name)


def _levels(name: str) -> np.ndarray:
    """The numbers that codes index."""
    return np.asarray(_NF4, np.float32) if name == "nf4" else numbers(name)


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    stored = shapes["codes"]
    axes = _axes(meta, len(stored))
    return tuple(stored[axes.index(axis)] for axis in range(len(stored)))


def _axes(meta: Mapping[str, Any], ndim: int) -> tuple[int, ...]:
    """Permutation from dense axes to stored axes; `order` permutes the trailing axes."""
    order = meta.get("order") or ()
    lead = ndim - len(order)
    if lead < 0 or sorted(order) != list(range(len(order))):
        raise ArtifactError(f"axis order {order} does not fit an array of {ndim} axes; the file is damaged")
    return (*range(lead), *(lead + axis for axis in order))


def expand_blocks(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Repeats each entry over its block."""
    for axis, (count, length) in enumerate(zip(blocks.shape, shape, strict=True)):
        if length % max(count, 1) or (length and not count):
            raise ArtifactError(f"{count} blocks do not tile an axis of {length}; the file is damaged")
        if count not in (1, length):
            blocks = np.repeat(blocks, length // count, axis)
    return blocks


def _round_bfloat16(x: np.ndarray) -> np.ndarray:
    """Rounds float32 to the nearest bfloat16 (ties to even), kept as float32."""
    bits = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return np.where(np.isfinite(x), rounded, x)


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("codes", "scale"), ("zero_point", "activation_scale"))
    named(meta, (), ("bits", "order", "activation", "dtype_name", "table"))
    if type(meta.get("bits", 8)) is not int or meta.get("activation") not in (None, "dynamic", "static"):
        raise ValueError(f"it has {meta.get('bits')!r} bits and activation {meta.get('activation')!r}")
    carrier(meta.get("dtype_name", "float32"))
    codes, table = fields["codes"], meta.get("table")
    small = isinstance(codes, Bits) and codes.dtype in SMALL
    if not small and (not isinstance(codes, np.ndarray) or codes.dtype.kind not in "iu"):
        raise ValueError("its codes are neither integers nor small floats")
    if table is not None and table not in _TABLES:
        raise ValueError(f"its table {table!r} is none of {_TABLES}")
    if table is not None and codes.size and not 0 <= int(_bits(codes).max()) < _levels(table).size:
        raise ValueError(f"its codes lie outside of the table {table!r}")
    dense = _shape(shapes, meta)
    for name in ("scale", "zero_point"):
        if fields.get(name) is None:
            continue
        blocks = shapes[name]
        if len(blocks) != len(dense) or any(n % max(b, 1) or (n and not b) for b, n in zip(blocks, dense, strict=True)):
            raise ValueError(f"its {name} of shape {blocks} does not tile a tensor of shape {dense}")


def _bits(codes: Any) -> np.ndarray:
    return codes.data if isinstance(codes, Bits) else np.asarray(codes)


register("Quantized", dense=_dense, shape=_shape, entrywise=("codes",), axes=_axes, check=_check)
