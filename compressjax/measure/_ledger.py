"""Where the bytes are: a row a leaf, from the tree alone or joined with the file that holds it."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from compressjax.coding import Ledger, Manifest
from compressjax.core import Node, entry_bits, is_value, nodes
from compressjax.interpret import describe


class LeafRow(NamedTuple):
    """The size of a leaf, or of a part of the file that is no leaf, or of a whole.

    Attributes:
        path: Value path; `"(manifest)"` and the like for what is no leaf.
        method: Chain of nodes such as `"Masked(Codebook)"`, `"dense"`, or `"overhead"`.
        shape: Dense shape, None where there is none.
        entries: Number of dense entries.
        bits_per_weight: Bits an entry: of the file where it is known, else packed. None without entries.
        float32_bytes: Four bytes an entry for floating leaves, the leaf's own bytes for others.
        packed_bytes: The node's exact size before entropy coding, rounded up to bytes; None for overhead.
        file_bytes: Bytes in the file, None without one.
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
    """A row for every leaf of a tree and, given its file, for every part of the file that is no leaf.

    .. math:: \\sum_{rows} \\text{file bytes} = \\text{length of the file}

    Args:
        tree: Tree of arrays and nodes.
        manifest: What `artifact.save` or `artifact.inspect` returned for this tree, or its ledger.

    Returns:
        Rows in tree order, overhead last; `totals` adds them up.

    Raises:
        ValueError: If the file holds other leaves than the tree.

    Example:
        >>> ledger({"bias": np.zeros(3, np.float32)})[0].packed_bytes
        12
    """
    leaves = nodes(tree)
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


def totals(rows: Iterable[LeafRow]) -> LeafRow:
    """The sum of rows.

    Args:
        rows: From `ledger`.

    Returns:
        One row with path `"total"`; its `file_bytes` is None when a row has none.

    Example:
        >>> totals(ledger({"a": np.zeros(3, np.float32), "b": np.zeros(1, np.int8)})).packed_bytes
        13
    """
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
