"""Sizes of the leaves of a tree, from the tree only or also from its file."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from compressjax.coding import Ledger, Manifest
from compressjax.core import Node, entry_bits, nodes
from compressjax.core._tree import is_value
from compressjax.interpret.lifting._lift import describe


class LeafRow(NamedTuple):
    """The size of a leaf, of another part of the file, or of the sum.

    Attributes:
        path: Value path; `"(manifest)"` and similar for other parts of the file.
        method: Nested node types such as `"Masked(Codebook)"`, `"dense"`, or `"overhead"`.
        shape: Dense shape; None for overhead and sums.
        entries: Number of dense entries.
        bits_per_weight: Bits per entry, in the file if it is given, else packed; None without entries.
        float32_bytes: Four bytes per entry for floating-point leaves, the stored bytes for other leaves.
        packed_bytes: Exact size before entropy coding, rounded up to bytes; None for overhead.
        file_bytes: Bytes in the file; None if it is not given.
    """

    path: str
    method: str
    shape: tuple[int, ...] | None
    entries: int
    bits_per_weight: float | None
    float32_bytes: int
    packed_bytes: int | None
    file_bytes: int | None


def ledger(tree: Any, manifest: Manifest | Ledger | None = None) -> list[LeafRow]:
    """Returns one row per leaf and, if a manifest is given, per other part of the file.

    .. math:: \\sum_{rows} \\text{file bytes} = \\text{length of the file}

    Args:
        tree: Tree of arrays and nodes.
        manifest: Result of `artifact.save` or `artifact.inspect` for this tree, or its ledger.

    Returns:
        Rows in tree order, overhead last; `leaves` adds a row with the sums.

    Raises:
        ValueError: If the file and the tree have different leaves.

    Example:
        >>> ledger({"bias": np.zeros(3, np.float32)})[0].packed_bytes
        12
    """
    leaves = {path: leaf for path, leaf in nodes(tree).items() if _is_stored(leaf)}
    file = manifest.ledger if isinstance(manifest, Manifest) else manifest
    if file is None:
        return [_row(path, leaf, None) for path, leaf in leaves.items()]
    sizes = {row.path: row.file_bytes for row in file.leaves}
    if sizes.keys() != leaves.keys():
        raise ValueError(
            f"the file and the tree differ at {sorted(sizes.keys() ^ leaves.keys())}; give the tree that was saved"
        )
    overhead = [LeafRow(f"({name})", "overhead", None, 0, None, 0, None, size) for name, size in file.rest.items()]
    return [_row(path, leaf, sizes[path]) for path, leaf in leaves.items()] + overhead


def _is_stored(leaf: Any) -> bool:
    """Whether a leaf holds numbers; modules of some libraries hold functions and strings too."""
    return isinstance(leaf, Node | bool | int | float | complex) or hasattr(leaf, "dtype")


def totals(rows: Iterable[LeafRow]) -> LeafRow:
    """The sum of rows; its `file_bytes` is None if a row has none."""
    rows = list(rows)
    entries = sum(row.entries for row in rows)
    bits = sum((row.bits_per_weight or 0) * row.entries for row in rows)
    files = [row.file_bytes for row in rows]
    file_bytes = None if None in files else sum(size or 0 for size in files)
    if file_bytes is not None and rows:
        bits = 8 * file_bytes
    return LeafRow(
        path="total",
        method="",
        shape=None,
        entries=entries,
        bits_per_weight=bits / entries if entries else None,
        float32_bytes=sum(row.float32_bytes for row in rows),
        packed_bytes=sum(row.packed_bytes or 0 for row in rows),
        file_bytes=file_bytes,
    )


def _row(path: str, leaf: Any, file_bytes: int | None) -> LeafRow:
    if not isinstance(leaf, Node) and not hasattr(leaf, "dtype"):
        leaf = np.asarray(leaf)
    shape = tuple(leaf.shape)
    entries = math.prod(shape)
    packed = entry_bits(leaf)
    bits = packed if file_bytes is None else 8 * file_bytes
    wide = 4 * entries if is_value(leaf) else entries * np.dtype(leaf.dtype).itemsize
    return LeafRow(
        path, describe(leaf), shape, entries, bits / entries if entries else None, wide, -(-packed // 8), file_bytes
    )
