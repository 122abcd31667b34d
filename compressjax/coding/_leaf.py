"""Encodes one leaf, an array or nested nodes, as a structure (for the manifest) and bytes (for the payload).

Under a mask, entry-wise arrays are stored only at the kept entries and decode to zero elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from compressjax.coding import _array, _twin
from compressjax.coding._bits import Reader
from compressjax.coding._dtypes import Bits, carrier, join, split
from compressjax.coding._errors import ArtifactError

_DEPTH = 32
_AXES = 32


class Budget:
    """Counts the bytes that decoding may still allocate."""

    def __init__(self, max_bytes: int) -> None:
        self._left = self._limit = max_bytes

    def spend(self, size: int, what: str) -> None:
        """Raises before an allocation that would exceed the limit."""
        if size > self._left:
            raise ArtifactError(
                f"{what} needs {size} bytes but only {self._left} of max_bytes={self._limit} are left; "
                "if you trust the file, pass a larger max_bytes"
            )
        self._left -= size


def encode(spec: Any, gate: np.ndarray | None = None) -> tuple[Any, bytes]:
    """Structure and payload of an array, a node (`{"node", "meta", "fields"}`), a tuple, a list or None."""
    if spec is None:
        return None, b""
    if isinstance(spec, tuple | list) and not isinstance(spec, Bits):
        parts = [encode(part, gate) for part in spec]
        key = "t" if isinstance(spec, tuple) else "l"
        return {key: [structure for structure, _ in parts]}, b"".join(payload for _, payload in parts)
    if isinstance(spec, dict):
        return _encode_node(spec, gate)
    name, bits = split(spec)
    gated = gate is not None and gate.shape == bits.shape
    codec, payload = _array.encode(bits[gate] if gated else bits, rotate=name == "bfloat16")
    return [codec, name, list(bits.shape), len(payload)] + ([1] if gated else []), payload


def _encode_node(spec: dict[str, Any], gate: np.ndarray | None) -> tuple[Any, bytes]:
    name, meta, gating = spec["node"], dict(spec.get("meta", {})), _gating(spec, gate)
    fields, payloads = {}, []
    for key, field, inner in _gated(spec["fields"], gating, gate):
        fields[key], payload = encode(field, inner)
        payloads.append(payload)
    structure = {"n": name, "m": meta, "f": fields}
    if _twin.written(name):
        structure |= {} if spec.get("shape") is None else {"s": list(spec["shape"])}
        structure |= {} if gating is None else {"g": list(gating)}
    return structure, b"".join(payloads)


def stored(spec: Any, gate: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Arrays of a spec, each with only the entries that a file stores, without masked entries."""
    if isinstance(spec, dict):
        for _, field, inner in _gated(spec["fields"], _gating(spec, gate), gate):
            yield from stored(field, inner)
    elif isinstance(spec, tuple | list) and not isinstance(spec, Bits):
        for part in spec:
            yield from stored(part, gate)
    elif spec is not None:
        array = np.asarray(spec)
        yield array[gate] if gate is not None and gate.shape == array.shape else array


def decode(structure: Any, reader: Reader, budget: Budget, gate: np.ndarray | None = None, depth: int = 0) -> Any:
    """Inverse of `encode`; reads the arrays from `reader` and charges `budget` before each allocation."""
    if structure is None:
        return None
    if depth > _DEPTH:
        raise ArtifactError(f"a leaf is nested deeper than {_DEPTH}; the file is damaged")
    if isinstance(structure, list):
        return _decode_array(structure, reader, budget, gate)
    if isinstance(structure, dict) and {"n", "m", "f"} <= set(structure) <= {"n", "m", "f", "s", "g"}:
        return _decode_node(structure, reader, budget, gate, depth)
    if isinstance(structure, dict) and len(structure) == 1:
        ((key, parts),) = structure.items()
        if key in ("t", "l") and isinstance(parts, list):
            kind = tuple if key == "t" else list
            return kind(decode(part, reader, budget, gate, depth + 1) for part in parts)
    raise ArtifactError(f"unknown structure {str(structure)[:80]} in the manifest; the file is damaged")


def _decode_node(structure: dict, reader: Reader, budget: Budget, gate: np.ndarray | None, depth: int) -> dict:
    node, meta, parts = structure["n"], structure["m"], structure["f"]
    if not (isinstance(node, str) and isinstance(meta, dict) and isinstance(parts, dict)):
        raise ArtifactError(f"node {str(node)[:80]!r} is not described by a name and two tables; the file is damaged")
    meta = {key: _frozen(value) for key, value in meta.items()}
    spec: dict[str, Any] = {"node": node, "meta": meta, "fields": {}}
    if "s" in structure:
        spec["shape"] = checked_shape(structure["s"])
    gating = _read_gating(structure, meta, gate)
    if gating and gating.mask in parts and next(iter(parts)) != gating.mask:
        raise ArtifactError(f"node {node!r} stores its mask after the masked fields; the file is damaged")
    fields = spec["fields"]
    for name, part in parts.items():
        inner = None if gating is None else gating.over(name, fields, gate)
        fields[name] = decode(part, reader, budget, inner, depth + 1)
    return spec


def _read_gating(structure: dict, meta: dict[str, Any], gate: np.ndarray | None) -> _twin.Gating | None:
    """The gating that the writer used; for nodes of other packages, files store it, so no twin is needed."""
    if not _twin.written(structure["n"]):
        return _gating({"node": structure["n"], "meta": meta}, gate)
    entry = _frozen(structure.get("g"))
    match entry:
        case None:
            return None
        case (tuple(names), None, str() | None as mask):
            return _twin.Gating(names, None, mask)
        case (tuple(names), tuple(axes), str() | None as mask) if gate is not None:
            return _twin.Gating(names, _twin.checked_axes(axes, gate.ndim), mask)
    raise ArtifactError(f"unknown gating {str(entry)[:80]} of {structure['n'][:80]!r}; the file is damaged")


def _decode_array(structure: list, reader: Reader, budget: Budget, gate: np.ndarray | None) -> np.ndarray | Bits:
    if len(structure) not in (4, 5) or (len(structure) == 5 and structure[4] != 1):
        raise ArtifactError(f"unknown array entry {str(structure)[:80]} in the manifest; the file is damaged")
    codec, name, shape, length = structure[:4]
    dtype, shape = carrier(name), checked_shape(shape)
    budget.spend(math.prod(shape) * dtype.itemsize, f"an array of shape {shape} and type {name}")
    data = reader.take(checked_count(length))
    if len(structure) == 4:
        bits = _array.decode(codec, data, dtype, shape)
    else:
        if not isinstance(gate, np.ndarray) or gate.dtype != bool or gate.shape != shape:
            raise ArtifactError(
                f"an array of shape {shape} is stored under a mask that is missing; the file is damaged"
            )
        bits = np.zeros(shape, dtype)
        bits[gate] = _array.decode(codec, data, dtype, (int(gate.sum()),))
    return join(name, bits)


def checked_shape(shape: Any) -> tuple[int, ...]:
    """Returns a valid shape from the manifest."""
    if not isinstance(shape, list) or len(shape) > _AXES:
        raise ArtifactError(f"{str(shape)[:80]} is not a shape; the file is damaged")
    return tuple(checked_count(axis) for axis in shape)


def checked_count(count: Any) -> int:
    """Returns a valid size from the manifest."""
    if type(count) is not int or not 0 <= count < 2**48:
        raise ArtifactError(f"{str(count)[:80]} is not a size; the file is damaged")
    return count


def _gating(spec: dict[str, Any], gate: np.ndarray | None) -> _twin.Gating | None:
    twin = _twin.find(spec["node"])
    return None if twin is None else twin.gating(spec.get("meta", {}), None if gate is None else gate.ndim)


def _gated(
    fields: Mapping[str, Any], gating: _twin.Gating | None, gate: np.ndarray | None
) -> Iterator[tuple[str, Any, np.ndarray | None]]:
    """Name, content and mask of each field; the node's own mask comes first, since it gates the other fields."""
    if gating is None:
        yield from ((name, field, None) for name, field in fields.items())
        return
    for name in sorted(fields, key=lambda name: name != gating.mask):
        yield name, fields[name], gating.over(name, fields, gate)


def _frozen(value: Any) -> Any:
    """Converts JSON lists to tuples, so that metadata is hashable."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
