"""Encodes one leaf, an array or nested nodes, as a structure (for the manifest) and bytes (for the payload).

Under a mask, entry-wise arrays are stored only at the kept entries and decode to zero elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from compressjax.coding import _array, _ledger, _twin
from compressjax.coding._bits import Reader
from compressjax.coding._dtypes import Bits, carrier, join, split
from compressjax.coding._errors import ArtifactError, UnknownNode
from compressjax.coding._limits import AXES, NODES, Budget, checked_count, checked_shape, shown

_NAME = 256


def encode(spec: Any, gate: np.ndarray | None = None, depth: int = 0) -> tuple[Any, bytes]:
    """Structure and payload of an array, a node (`{"node", "meta", "fields"}`), a tuple, a list or None."""
    if spec is None:
        return None, b""
    if depth > NODES:
        raise ArtifactError(
            f"nodes and tuples are nested deeper than {NODES}, which no file may hold; materialize some"
        )
    if isinstance(spec, tuple | list) and not isinstance(spec, Bits):
        parts = [encode(part, gate, depth + 1) for part in spec]
        key = "t" if isinstance(spec, tuple) else "l"
        return {key: [structure for structure, _ in parts]}, b"".join(payload for _, payload in parts)
    if isinstance(spec, dict):
        return _encode_node(spec, gate, depth)
    name, bits = split(spec)
    if bits.ndim > AXES:
        raise ArtifactError(f"an array has {bits.ndim} axes, but files hold at most {AXES}; reshape it")
    gated = gate is not None and gate.shape == bits.shape
    codec, payload = _array.encode(bits[gate] if gated else bits, rotate=name == "bfloat16")
    return [codec, name, list(bits.shape), len(payload)] + ([1] if gated else []), payload


def _encode_node(spec: dict[str, Any], gate: np.ndarray | None, depth: int) -> tuple[Any, bytes]:
    name, meta, gating = spec["node"], dict(spec.get("meta", {})), _gating(spec, gate)
    fields, payloads = {}, []
    for key, field, inner in _gated(spec["fields"], gating, gate):
        fields[key], payload = encode(field, inner, depth + 1)
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


def newer(structure: Any) -> bool:
    """Whether a structure has codecs that version 2 of the format lacks."""
    if isinstance(structure, dict) and "r" in structure:
        return False
    return any(array[0] in _array.NEWER for array in _ledger.arrays(structure))


def check(structure: Any, depth: int = 0) -> None:
    """Raises unless a structure is one that `decode` knows, with valid sizes; reads no payload."""
    if depth > NODES:
        raise ArtifactError(f"a leaf is nested deeper than {NODES}; the file is damaged")
    if structure is None:
        return
    if isinstance(structure, list):
        if len(structure) not in (4, 5) or structure[4:] not in ([], [1]):
            raise ArtifactError(f"unknown array entry {shown(structure)} in the manifest; the file is damaged")
        codec, name, shape, length = structure[:4]
        if codec not in _array.CODECS:
            raise ArtifactError(f"unknown codec {shown(codec)}; this version reads {', '.join(_array.CODECS)}")
        carrier(name)
        checked_shape(shape)
        checked_count(length)
        return
    if isinstance(structure, dict) and {"n", "m", "f"} <= set(structure) <= {"n", "m", "f", "s", "g"}:
        node, meta, parts = structure["n"], structure["m"], structure["f"]
        if not (isinstance(node, str) and len(node) <= _NAME and isinstance(meta, dict) and isinstance(parts, dict)):
            raise ArtifactError(f"node {shown(node)} is not described by a name and two tables; the file is damaged")
        if "s" in structure:
            checked_shape(structure["s"])
        for part in parts.values():
            check(part, depth + 1)
        return
    if isinstance(structure, dict) and len(structure) == 1:
        ((key, parts),) = structure.items()
        if key in ("t", "l") and isinstance(parts, list):
            for part in parts:
                check(part, depth + 1)
            return
    raise ArtifactError(f"unknown structure {shown(structure)} in the manifest; the file is damaged")


def decode(structure: Any, reader: Reader, budget: Budget) -> Any:
    """Inverse of `encode`; reads the arrays from `reader` and charges `budget` before each allocation."""
    check(structure)
    return _decode(structure, reader, budget, None)


def _decode(structure: Any, reader: Reader, budget: Budget, gate: np.ndarray | None) -> Any:
    if structure is None:
        return None
    if isinstance(structure, list):
        return _decode_array(structure, reader, budget, gate)
    if "n" in structure:
        return _decode_node(structure, reader, budget, gate)
    ((key, parts),) = structure.items()
    return (tuple if key == "t" else list)(_decode(part, reader, budget, gate) for part in parts)


def _decode_node(structure: dict, reader: Reader, budget: Budget, gate: np.ndarray | None) -> dict:
    node, parts = structure["n"], structure["f"]
    meta = {key: _frozen(value) for key, value in structure["m"].items()}
    spec: dict[str, Any] = {"node": node, "meta": meta, "fields": {}}
    if "s" in structure:
        spec["shape"] = tuple(structure["s"])
    gating = _read_gating(structure, meta, gate)
    if gating and gating.mask in parts and next(iter(parts)) != gating.mask:
        raise ArtifactError(f"node {node!r} stores its mask after the masked fields; the file is damaged")
    budget.array()
    fields = spec["fields"]
    for name, part in parts.items():
        inner = None if gating is None else gating.over(name, fields, gate)
        fields[name] = _decode(part, reader, budget, inner)
    fitting(structure, fields, meta)
    return spec


def fitting(structure: dict, fields: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """Raises if the fields of a node do not fit together, or its shape is none."""
    twin = _twin.find(structure["n"])
    if twin is None:
        return
    try:
        if twin.check is not None:
            twin.check(fields, _ledger.Shapes(structure["f"]), meta)
        if (shape := _ledger.dense_shape(structure)) is not None:
            checked_shape(list(shape))
    except UnknownNode:
        return
    except (KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
        reason = str(error) if isinstance(error, ArtifactError) else repr(error)
        raise ArtifactError(f"the fields of a {structure['n']} do not fit together: {reason[:200]}") from error


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
    raise ArtifactError(f"unknown gating {shown(entry)} of {structure['n']!r}; the file is damaged")


def _decode_array(structure: list, reader: Reader, budget: Budget, gate: np.ndarray | None) -> np.ndarray | Bits:
    codec, name, shape, length = structure[:4]
    dtype, shape = carrier(name), tuple(shape)
    budget.array()
    budget.spend(math.prod(shape) * dtype.itemsize, f"an array of shape {shape} and type {name}")
    data = reader.take(length)
    if len(structure) == 4:
        return join(name, _array.decode(codec, data, dtype, shape, budget))
    if not isinstance(gate, np.ndarray) or gate.dtype != bool or gate.shape != shape:
        raise ArtifactError(f"an array of shape {shape} is stored under a mask that is missing; the file is damaged")
    bits, kept = np.empty(shape, dtype), int(np.count_nonzero(gate))
    flat = bits.reshape(-1)
    _array.fill(flat[flat.size - kept :], codec, data, (kept,), budget)
    _array.scatter(flat, gate.reshape(-1))
    return join(name, bits)


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
    if isinstance(value, dict):
        raise ArtifactError(f"metadata of a node holds {shown(value)}; the file is damaged")
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
