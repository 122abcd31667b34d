"""All sizes of a file's leaves: dense, information, packed, coded, tables, and in memory."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

from compressjax.coding import Leaves
from compressjax.coding import _ledger as ledgers
from compressjax.coding._information import information_bits
from compressjax.measure._memory import memory_bytes, packed_memory


class SizeRow(NamedTuple):
    """Bytes of a leaf, of another part of the file, or of the whole.

    Attributes:
        path: Value path; `"(header)"`, `"(manifest)"`, `"(checksums)"`, `"(program)"`; `"total"`.
        nodes: Chain of node types, or `"array"`.
        dense: Four bytes per entry of the dense tensor.
        information: Entropy of codes and masks, and floats as they are, rounded up.
        packed: Bits of the node before entropy coding, rounded up; None where the writer gave none.
        coded: Bytes in the file of codes, masks and plain arrays.
        table: Bytes in the file of what nodes look up or scale by, such as centroids.
        header: Bytes of the file that belong to no leaf.
        device: Bytes of the arrays as loaded; None without a tree.
        host: Bytes of the arrays in their smallest form in memory; None without a tree.
    """

    path: str
    nodes: str
    dense: int
    information: int
    packed: int | None
    coded: int
    table: int
    header: int
    device: int | None
    host: int | None


def sizes(path: str | os.PathLike[str], tree: Any = None) -> list[SizeRow]:
    """Returns every size of every leaf of a file; coded, table and header bytes add up to its length.

    .. math:: \\text{file} = \\sum_l (\\text{coded}_l + \\text{table}_l) + \\text{header}

    Args:
        path: File of `artifact.save`; its leaves are decoded one by one.
        tree: The loaded or prepared tree, for the bytes in memory.

    Returns:
        A row per leaf and other part, the total last; `measure.table` prints rows.

    Raises:
        ArtifactError: If the file cannot be read or is damaged.
        ValueError: If `tree` has other leaves than the file.

    Example:
        >>> import os.path, tempfile
        >>> import numpy as np
        >>> from compressjax import coding
        >>> file = os.path.join(tempfile.mkdtemp(), "w.cjx")
        >>> _ = coding.write(file, {"w": np.arange(4096, dtype=np.uint8).reshape(64, 64) % 4})
        >>> total = sizes(file)[-1]
        >>> total.dense, total.information, total.coded + total.table + total.header == os.path.getsize(file)
        (16384, 1024, True)
    """
    leaves = Leaves(path)
    ledger = leaves.manifest.ledger
    device = host = None
    if tree is not None:
        device, host = memory_bytes(tree), packed_memory(tree)
        if device.keys() != set(leaves):
            raise ValueError(f"sizes: the tree and {path} differ at {sorted(device.keys() ^ set(leaves))[:8]}")
    rows = []
    for row in ledger.leaves:
        structure = leaves.manifest.structures[row.path]
        shared = row.codecs == ("shared",)
        table = 0 if shared else _table(structure)
        bits = 0.0 if shared else information_bits(leaves[row.path])
        memory = (None, None) if device is None or host is None else (device[row.path], host[row.path])
        information = math.ceil(bits / 8)
        rows.append(
            SizeRow(
                row.path, row.nodes, row.float32_bytes, information, row.packed_bytes, row.file_bytes - table, table, 0,
                *memory,
            )
        )  # fmt: skip
    for name, size in ledger.rest.items():
        rows.append(SizeRow(f"({name})", "", 0, 0, None, 0, 0, size, None, None))
    return [*rows, _total(rows, tree is not None)]


def _table(structure: Any) -> int:
    """Bytes of the arrays of a node that are neither integers nor Booleans."""
    if not (isinstance(structure, dict) and "n" in structure):
        return 0
    return sum(a[3] for a in ledgers.arrays(structure) if not a[1].lstrip("u").startswith(("int", "bool")))


def _total(rows: list[SizeRow], memory: bool) -> SizeRow:
    def add(name: str) -> int:
        return sum(getattr(row, name) or 0 for row in rows)

    dense, information, packed, coded, table, header = map(
        add, ("dense", "information", "packed", "coded", "table", "header")
    )
    device, host = (add("device"), add("host")) if memory else (None, None)
    return SizeRow("total", "", dense, information, packed, coded, table, header, device, host)
