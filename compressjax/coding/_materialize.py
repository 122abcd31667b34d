"""Dense arrays from leaf specs, with NumPy alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from compressjax.coding._dtypes import Bits
from compressjax.coding._errors import ArtifactError
from compressjax.coding._leaf import dense_order


def materialize(spec: Any, *, max_bytes: int = 2**32) -> np.ndarray:
    r"""The dense array behind a leaf spec, computed in float32 for quantized and low-rank tensors.

    `Masked`: \(M \odot V\); `LowRank`: \(L R\); `Quantized`: \(s (q - z)\); `Codebook`: \(c_{a}\);
    `Sum`: \(\sum_j T_j\).

    Args:
        spec: An array, `Bits`, or a node spec as `read` returns them.
        max_bytes: Most bytes of a dense tensor.

    Returns:
        The dense array; bfloat16 comes as float32, which holds it exactly.

    Raises:
        ArtifactError: If a node type is unknown, shapes do not fit, or the tensor is larger than `max_bytes`.

    Example:
        >>> fields = {"centroids": np.array([0.5, 2.0]), "codes": np.array([1, 0])}
        >>> materialize({"node": "Codebook", "meta": {}, "fields": fields}).tolist()
        [2.0, 0.5]
    """
    if isinstance(spec, Bits):
        return _widen(spec)
    if not isinstance(spec, dict):
        return np.asarray(spec)
    rule = _RULES.get(spec["node"])
    if rule is None:
        raise ArtifactError(f"unknown node type {spec['node']!r}; this version knows {sorted(_RULES)}")
    try:
        return rule(spec["fields"], spec["meta"], max_bytes)
    except (ArtifactError, MemoryError):
        raise
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise ArtifactError(f"the fields of a {spec['node']} do not fit together ({error}); check the spec") from error


def _masked(fields: dict, meta: dict, max_bytes: int) -> np.ndarray:
    value = materialize(fields["value"], max_bytes=max_bytes)
    return np.where(fields["mask"], value, np.zeros((), value.dtype))


def _low_rank(fields: dict, meta: dict, max_bytes: int) -> np.ndarray:
    left = materialize(fields["left"], max_bytes=max_bytes)
    right = materialize(fields["right"], max_bytes=max_bytes)
    inputs = meta.get("inputs", 1)
    batch = left.ndim - 1 - inputs
    lead, rows, columns = left.shape[:batch], left.shape[batch:-1], right.shape[batch + 1 :]
    size = math.prod(lead) * math.prod(rows) * math.prod(columns) * left.dtype.itemsize
    if size > max_bytes:
        raise ArtifactError(
            f"the dense tensor of a LowRank needs {size} bytes, above max_bytes={max_bytes}; if you "
            "trust the file, pass a larger max_bytes"
        )
    product = left.reshape(*lead, -1, left.shape[-1]) @ right.reshape(*lead, right.shape[batch], -1)
    return product.reshape(*lead, *rows, *columns)


def _quantized(fields: dict, meta: dict, max_bytes: int) -> np.ndarray:
    stored = np.asarray(fields["codes"])
    codes = stored.transpose(np.argsort(dense_order(meta, stored.ndim))).astype(np.float32)
    if fields.get("zero_point") is not None:
        codes = codes - _spread(fields["zero_point"], codes.shape).astype(np.float32)
    dense = codes * _spread(materialize(fields["scale"]), codes.shape).astype(np.float32)
    name = meta.get("dtype_name", "float32")
    return _round_bfloat16(dense) if name == "bfloat16" else dense.astype(name)


def _codebook(fields: dict, meta: dict, max_bytes: int) -> np.ndarray:
    table = materialize(fields["centroids"], max_bytes=max_bytes)
    codes = np.asarray(fields["codes"]).astype(np.int64)
    batch = table.ndim - 1
    if batch == 0:
        return table[codes]
    flat = codes.reshape(*codes.shape[:batch], -1)
    return np.take_along_axis(table, flat, axis=-1).reshape(codes.shape)


def _sum(fields: dict, meta: dict, max_bytes: int) -> np.ndarray:
    total = materialize(fields["terms"][0], max_bytes=max_bytes)
    for term in fields["terms"][1:]:
        total = total + materialize(term, max_bytes=max_bytes)
    return total


def _spread(blocks: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Repeats each entry over its block."""
    blocks = np.asarray(blocks)
    for axis, (count, length) in enumerate(zip(blocks.shape, shape, strict=True)):
        if length % max(count, 1) or (length and not count):
            raise ArtifactError(f"{count} blocks do not tile an axis of {length}; the file is damaged")
        if count not in (1, length):
            blocks = np.repeat(blocks, length // count, axis)
    return blocks


def _widen(array: Bits) -> np.ndarray:
    if array.dtype != "bfloat16":
        raise ArtifactError(
            f"type {array.dtype!r} needs the ml_dtypes package to become numbers; load the file with "
            "compressjax.artifact"
        )
    return (array.data.astype(np.uint32) << 16).view(np.float32)


def _round_bfloat16(x: np.ndarray) -> np.ndarray:
    """Rounds float32 to the nearest bfloat16 (ties to even), kept as float32."""
    bits = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return np.where(np.isfinite(x), rounded, x)


_RULES = {"Masked": _masked, "LowRank": _low_rank, "Quantized": _quantized, "Codebook": _codebook, "Sum": _sum}
