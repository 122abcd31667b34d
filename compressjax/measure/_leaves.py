"""The table of leaves: sizes, noise, and which leaves run in compressed form."""

from collections.abc import Sequence
from typing import Any

from compressjax.coding import Ledger, Manifest
from compressjax.core import nodes
from compressjax.interpret import Row
from compressjax.measure._ledger import ledger, totals
from compressjax.measure._memory import memory_bytes, packed_memory
from compressjax.measure._sqnr import sqnr

# From best to worst; a leaf has the worst status of its uses.
_STATUSES = ("unused", "native", "dense", "fallback")


def leaves(
    tree: Any,
    *,
    original: Any = None,
    explained: Sequence[Row] | None = None,
    manifest: Manifest | Ledger | None = None,
    total: bool = True,
) -> list[dict[str, Any]]:
    """Returns one row per leaf, ready for JSON: how it is stored, its bytes, its error, and how it runs.

    Args:
        tree: Tree of arrays and nodes.
        original: The tree before compression; adds `sqnr_db` (infinite where nothing changed).
        explained: Result of `explain(apply)(tree, *inputs)`; adds `execution`, the worst of all uses: `"native"`,
            `"dense"` (materialized by design), `"fallback"` (an operation has no rule), `"array"` (not a node) or
            `"unused"`; and `reason`, which names the operations that needed a dense tensor.
        manifest: Result of `artifact.save`; adds bytes in the file, and rows for its other parts.
        total: Whether to add a row with the sums.

    Returns:
        Rows with the keys `path`, `method`, `shape`, `entries`, `bits_per_weight`, `float32_bytes`, `packed_bytes`,
        `host_bytes` (of the arrays in their smallest form in memory, `pack`), `memory_bytes` (as they are held now, on
        a device say), `file_bytes` and those above.

    Raises:
        ValueError: If the trees or the file do not match.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.interpret import explain
        >>> from compressjax.tensors import LowRank
        >>> tree = {"kernel": LowRank(jnp.ones((4, 1)), jnp.ones((1, 3)))}
        >>> used = explain(lambda p, x: x @ p["kernel"])(tree, jnp.ones((2, 4)))
        >>> leaves(tree, explained=used, total=False)[0]["execution"]
        'native'
    """
    sizes = ledger(tree, manifest)
    present, memory, host = nodes(tree), memory_bytes(tree), packed_memory(tree)
    noise = None if original is None else sqnr(original, tree)
    rows = []
    for row in [*sizes, *([totals(sizes)] if total else [])]:
        fields: dict[str, Any] = row._asdict()
        fields["shape"] = None if row.shape is None else list(row.shape)
        for key, held in (("host_bytes", host), ("memory_bytes", memory)):
            whole = row.path == "total" and row.shape is None
            fields[key] = sum(held.values()) if whole else held.get(row.path)
        if noise is not None:
            fields["sqnr_db"] = noise.get(row.path)
        if explained is not None:
            fields |= _execution(row.path, row.method, explained if row.path in present else None)
        rows.append(fields)
    return rows


def _execution(path: str, method: str, explained: Sequence[Row] | None) -> dict[str, str | None]:
    if explained is None:
        return {"execution": None, "reason": None}
    if method == "dense":
        return {"execution": "array", "reason": ""}
    uses = [row for row in explained if row.path == path]
    if not uses:
        return {"execution": "unused", "reason": ""}
    worst = max(uses, key=lambda row: _STATUSES.index(row.status)).status
    reasons = dict.fromkeys(f"{row.primitive}: {row.reason}" for row in uses if row.status in ("dense", "fallback"))
    return {"execution": worst, "reason": "; ".join(reasons)}
