"""The ledger: bytes of each leaf and of the overhead, which add up to the length of the file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from compressjax.coding import _twin
from compressjax.coding._errors import UnknownNode
from compressjax.coding._limits import checked_shape


class LedgerRow(NamedTuple):
    """The size of one leaf.

    Attributes:
        path: Value path of the leaf.
        nodes: Chain of node types, `"Masked(Codebook)"`, or `"array"`.
        shape: Dense shape; None if neither the file nor a registered decoder provides it.
        float32_bytes: Four bytes per entry of the dense tensor.
        packed_bytes: The node's `size_bits()` rounded up to bytes; None if the writer did not give it.
        file_bytes: Bytes of the leaf in the file.
        codecs: Codec of each stored array, in order.
    """

    path: str
    nodes: str
    shape: tuple[int, ...] | None
    float32_bytes: int
    packed_bytes: int | None
    file_bytes: int
    codecs: tuple[str, ...]


class Ledger(NamedTuple):
    """Rows that add up to the file's length.

    Attributes:
        leaves: A row per leaf.
        rest: Bytes of `header`, `manifest`, `checksums`, and each extra section (`program`).
    """

    leaves: tuple[LedgerRow, ...]
    rest: dict[str, int]

    @property
    def file_bytes(self) -> int:
        """Sum of all rows: the length of the file."""
        return sum(row.file_bytes for row in self.leaves) + sum(self.rest.values())

    @property
    def float32_bytes(self) -> int:
        """Bytes of the dense tree in float32."""
        return sum(row.float32_bytes for row in self.leaves)

    @property
    def packed_bytes(self) -> int:
        """Sum of the leaves' packed sizes."""
        return sum(row.packed_bytes or 0 for row in self.leaves)

    def as_json(self) -> list[dict[str, Any]]:
        """All rows as plain dictionaries."""
        rows = [
            row._asdict() | {"shape": row.shape and list(row.shape), "codecs": list(row.codecs)} for row in self.leaves
        ]
        return rows + [{"path": f"({name})", "file_bytes": size} for name, size in self.rest.items()]


def row(path: str, structure: Any, file_bytes: int, packed_bits: int | None) -> LedgerRow:
    """Ledger row of a leaf, from its structure in the manifest."""
    shape = dense_shape(structure)
    entries = math.prod(shape) if shape is not None else sum(math.prod(a[2]) for a in arrays(structure))
    packed = None if packed_bits is None else -(-packed_bits // 8)
    codecs = tuple(array[0] for array in arrays(structure))
    return LedgerRow(path, chain(structure), shape, 4 * entries, packed, file_bytes, codecs)


def arrays(structure: Any) -> list[list[Any]]:
    """All array entries of a structure, in stored order."""
    if isinstance(structure, list):
        return [structure]
    if not isinstance(structure, dict):
        return []
    parts = structure["f"].values() if "f" in structure else next(iter(structure.values()))
    return [array for part in parts for array in arrays(part)]


def chain(structure: Any) -> str:
    """Node types from the outside in: `"Masked(Codebook)"`; `"array"` for an array."""
    if not (isinstance(structure, dict) and "n" in structure):
        return "array"
    inner = []
    for field in structure["f"].values():
        parts = next(iter(field.values())) if isinstance(field, dict) and "n" not in field else [field]
        inner += [chain(part) for part in parts if isinstance(part, dict)]
    return structure["n"] + (f"({', '.join(inner)})" if inner else "")


class Shapes(dict[str, Any]):
    """Dense shapes of fields, computed on access."""

    def __getitem__(self, name: str) -> Any:
        field = super().__getitem__(name)
        if isinstance(field, dict) and len(field) == 1:
            return _Terms(next(iter(field.values())))
        return _known_shape(field)


class _Terms(Sequence[tuple[int, ...]]):
    """Dense shapes of the parts of a tuple, computed on access, so that nested sums cost one walk."""

    def __init__(self, parts: list[Any]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: Any) -> Any:
        return _known_shape(self._parts[index])


def dense_shape(structure: Any) -> tuple[int, ...] | None:
    """Shape of the dense tensor of a structure; None if an unknown node does not provide it."""
    try:
        return _known_shape(structure)
    except UnknownNode:
        return None


def _known_shape(structure: Any) -> tuple[int, ...]:
    if isinstance(structure, list):
        return tuple(structure[2])
    if not (isinstance(structure, dict) and "n" in structure):
        raise UnknownNode("this is neither an array nor a node")
    if "s" in structure:
        return checked_shape(structure["s"])
    twin = _twin.find(structure["n"])
    if twin is None or twin.shape is None:
        raise UnknownNode(f"the shape of a {structure['n']} is not known")
    return tuple(twin.shape(Shapes(structure["f"]), structure["m"]))
