"""Dense arrays from leaf specs, with NumPy only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from compressjax.coding import _twin
from compressjax.coding._dtypes import Bits
from compressjax.coding._errors import ArtifactError, UnknownNode
from compressjax.coding._minifloat import SMALL, numbers


def materialize(spec: Any, *, max_bytes: int = 2**32) -> np.ndarray:
    """Decodes a leaf spec to a dense array, with the registered decoder of each node type.

    Args:
        spec: An array, `Bits`, or a node spec, as `read` returns it.
        max_bytes: Limit on the bytes of a dense tensor.

    Returns:
        The dense array; bfloat16 and the small types of grids become float32, which is exact.

    Raises:
        UnknownNode: If no decoder is registered for the type of a node.
        ArtifactError: If the shapes of fields do not match, or the tensor is larger than `max_bytes`.

    Example:
        >>> fields = {"centroids": np.array([0.5, 2.0]), "codes": np.array([1, 0])}
        >>> materialize({"node": "Codebook", "meta": {}, "fields": fields}).tolist()
        [2.0, 0.5]
    """
    if isinstance(spec, Bits):
        return _widen(spec)
    if not isinstance(spec, dict):
        return np.asarray(spec)
    name, meta = spec["node"], spec["meta"]
    twin = _twin.find(name)
    if twin is None:
        outside = _twin.written(name)
        remedy = "import the module that registers one" if outside else "install the compressjax that wrote the file"
        raise UnknownNode(f"unknown node type {name!r}: NumPy has no decoder for it; {remedy}")
    fields = {key: _dense(field, max_bytes) for key, field in spec["fields"].items()}
    try:
        expected = spec.get("shape")
        if expected is None and twin.shape is not None:
            expected = twin.shape({key: _shape(field) for key, field in fields.items()}, meta)
        if expected is not None:
            _spend(name, expected, fields, max_bytes)
        dense = np.asarray(twin.dense(fields, meta))
        if expected is not None and dense.shape != tuple(expected):
            raise ArtifactError(
                f"the decoder of {name} gives shape {dense.shape}, where its fields say {tuple(expected)}"
            )
    except (ArtifactError, MemoryError):
        raise
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise ArtifactError(f"the fields of a {name} do not fit together ({error}); check the spec") from error
    return dense


def _dense(field: Any, max_bytes: int) -> Any:
    if isinstance(field, tuple | list) and not isinstance(field, Bits):
        return type(field)(_dense(part, max_bytes) for part in field)
    return None if field is None else materialize(field, max_bytes=max_bytes)


def _shape(field: Any) -> Any:
    return tuple(map(_shape, field)) if isinstance(field, tuple | list) else np.shape(field)


def _spend(name: str, shape: Any, fields: dict[str, Any], max_bytes: int) -> None:
    """Raises before a dense tensor above the limit is allocated."""
    widths = [field.itemsize for field in fields.values() if isinstance(field, np.ndarray) and field.dtype.kind in "fc"]
    size = math.prod(shape) * max(widths, default=4)
    if size > max_bytes:
        raise ArtifactError(
            f"the dense tensor of a {name} needs {size} bytes, above max_bytes={max_bytes}; if you "
            "trust the file, pass a larger max_bytes"
        )


def _widen(array: Bits) -> np.ndarray:
    if array.dtype == "bfloat16":
        return (array.data.astype(np.uint32) << 16).view(np.float32)
    if array.dtype not in SMALL:
        raise ArtifactError(
            f"type {array.dtype!r} needs the ml_dtypes package to become numbers; load the file with "
            "compressjax.artifact"
        )
    table = numbers(array.dtype)
    if array.data.size and int(array.data.max()) >= table.size:
        raise ArtifactError(f"a bit pattern is none of {array.dtype}; the file is damaged")
    return np.asarray(table[array.data])
