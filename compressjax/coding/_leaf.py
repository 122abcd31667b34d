"""One leaf of a tree, an array or a nest of nodes, as a structure (for the manifest) and bytes (for the payload).

Under a mask, entry-wise arrays are stored at the kept entries only and come back as zero elsewhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from compressjax.coding import _array
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
        """Refuses an allocation that would go past the limit, before it is made."""
        if size > self._left:
            raise ArtifactError(
                f"{what} needs {size} bytes but only {self._left} of max_bytes={self._limit} are left; "
                "if you trust the file, pass a larger max_bytes"
            )
        self._left -= size


def encode(spec: Any, gate: np.ndarray | None = None) -> tuple[Any, bytes]:
    """Structure and payload of an array, a node (`{"node", "meta", "fields"}`), a tuple, a list or None.

    Args:
        spec: What to store.
        gate: Booleans of the dense shape; entries of arrays of that shape are dropped where False.

    Returns:
        The structure, JSON-able, and the bytes of all arrays in order.

    Raises:
        ArtifactError: If a type cannot be stored.
    """
    if spec is None:
        return None, b""
    if isinstance(spec, tuple | list) and not isinstance(spec, Bits):
        parts = [encode(part, gate) for part in spec]
        key = "t" if isinstance(spec, tuple) else "l"
        return {key: [structure for structure, _ in parts]}, b"".join(payload for _, payload in parts)
    if isinstance(spec, dict):
        fields, payloads = {}, []
        names = sorted(spec["fields"], key=lambda name: name != "mask")  # a mask gates what follows it
        for name in names:
            inner = _gate(spec["node"], spec.get("meta", {}), name, spec["fields"].get("mask"), gate)
            fields[name], payload = encode(spec["fields"][name], inner)
            payloads.append(payload)
        return {"n": spec["node"], "m": spec.get("meta", {}), "f": fields}, b"".join(payloads)
    name, bits = split(spec)
    gated = gate is not None and gate.shape == bits.shape
    codec, payload = _array.encode(bits[gate] if gated else bits, rotate=name == "bfloat16")
    return [codec, name, list(bits.shape), len(payload)] + ([1] if gated else []), payload


def decode(structure: Any, reader: Reader, budget: Budget, gate: np.ndarray | None = None, depth: int = 0) -> Any:
    """Inverse of `encode`; takes the bytes of its arrays from `reader` and charges `budget` before allocating."""
    if structure is None:
        return None
    if depth > _DEPTH:
        raise ArtifactError(f"a leaf is nested deeper than {_DEPTH}; the file is damaged")
    if isinstance(structure, list):
        return _decode_array(structure, reader, budget, gate)
    if isinstance(structure, dict) and set(structure) == {"n", "m", "f"}:
        return _decode_node(structure, reader, budget, gate, depth)
    if isinstance(structure, dict) and len(structure) == 1:
        ((key, parts),) = structure.items()
        if key in ("t", "l") and isinstance(parts, list):
            kind = tuple if key == "t" else list
            return kind(decode(part, reader, budget, gate, depth + 1) for part in parts)
    raise ArtifactError(f"unknown structure {str(structure)[:80]} in the manifest; the file is damaged")


def _decode_node(structure: dict, reader: Reader, budget: Budget, gate: np.ndarray | None, depth: int) -> dict:
    node, meta, stored = structure["n"], structure["m"], structure["f"]
    if not (isinstance(node, str) and isinstance(meta, dict) and isinstance(stored, dict)):
        raise ArtifactError(f"node {str(node)[:80]!r} is not described by a name and two tables; the file is damaged")
    if "mask" in stored and next(iter(stored)) != "mask":
        raise ArtifactError(f"node {node!r} stores its mask after what it masks; the file is damaged")
    meta = {key: _frozen(value) for key, value in meta.items()}
    fields: dict[str, Any] = {}
    for name in stored:
        inner = _gate(node, meta, name, fields.get("mask"), gate)
        fields[name] = decode(stored[name], reader, budget, inner, depth + 1)
    return {"node": node, "meta": meta, "fields": fields}


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
                f"an array of shape {shape} is stored under a mask that is not there; the file is damaged"
            )
        bits = np.zeros(shape, dtype)
        bits[gate] = _array.decode(codec, data, dtype, (int(gate.sum()),))
    return join(name, bits)


def checked_shape(shape: Any) -> tuple[int, ...]:
    """A shape from the manifest, or an error."""
    if not isinstance(shape, list) or len(shape) > _AXES:
        raise ArtifactError(f"{str(shape)[:80]} is not a shape; the file is damaged")
    return tuple(checked_count(axis) for axis in shape)


def checked_count(count: Any) -> int:
    """A size from the manifest, or an error."""
    if type(count) is not int or not 0 <= count < 2**48:
        raise ArtifactError(f"{str(count)[:80]} is not a size; the file is damaged")
    return count


def dense_order(meta: dict[str, Any], ndim: int) -> tuple[int, ...]:
    """Permutation that takes dense axes to stored axes: `order` speaks of the trailing axes."""
    order = meta.get("order") or ()
    lead = ndim - len(order)
    if lead < 0 or sorted(order) != list(range(len(order))):
        raise ArtifactError(f"axis order {order} does not fit an array of {ndim} axes; the file is damaged")
    return (*range(lead), *(lead + axis for axis in order))


def _gate(node: str, meta: dict[str, Any], name: str, mask: Any, gate: np.ndarray | None) -> np.ndarray | None:
    """The mask over a node's field, given the mask over the node."""
    if node == "Masked" and name == "value" and mask is not None:
        mask = np.asarray(mask)
        return mask & gate if gate is not None and gate.shape == mask.shape else mask
    if gate is None or (node, name) not in {
        ("Masked", "mask"),
        ("Codebook", "codes"),
        ("Quantized", "codes"),
        ("Sum", "terms"),
    }:
        return None
    return gate.transpose(dense_order(meta, gate.ndim)) if node == "Quantized" else gate


def _frozen(value: Any) -> Any:
    """Metadata is hashable: JSON lists come back as tuples."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
