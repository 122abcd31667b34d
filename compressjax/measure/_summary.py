"""The summary table of a tree: how every leaf is stored, its bytes, and how it runs."""

from collections.abc import Callable
from typing import Any, NamedTuple

from compressjax.interpret import explain
from compressjax.measure._leaves import leaves
from compressjax.measure._table import html, table

_COLUMNS = {
    "path": "path", "shape": "shape", "method": "node", "bits_per_weight": "bits/weight",
    "float32_bytes": "float32 bytes", "packed_bytes": "bytes",
    "memory_bytes": "in memory", "execution": "ran", "reason": "why",
}  # fmt: skip


class Summary(NamedTuple):
    """Result of `summary`: text when printed, an HTML table in a notebook.

    Attributes:
        rows: One mapping per leaf, from `measure.leaves`; the last row is the total.
    """

    rows: list[dict[str, Any]]

    def __str__(self) -> str:
        return table(self._shown())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html(self._shown())

    def _shown(self) -> list[dict[str, Any]]:
        shown = [{title: row[key] for key, title in _COLUMNS.items() if key in row} for row in self.rows]
        nodes = [row["execution"] for row in self.rows[:-1] if row.get("execution", "array") != "array"]
        if nodes:
            shown[-1]["ran"] = f"{nodes.count('native')} of {len(nodes)} native"
        return shown


def summary(tree: Any, fn: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Summary:
    """Tabulates the shape, node, bits per weight and bytes of every leaf; with a function, also how each leaf runs.

    Args:
        tree: Tree of arrays and nodes; masks must be concrete.
        fn: Function for dense parameters, `fn(tree, *args, **kwargs)`; it is traced, not run.
        *args: Other positional arguments; arrays may be `jax.ShapeDtypeStruct`.
        **kwargs: Keyword arguments.

    Returns:
        `Summary`: `print` shows text, a notebook shows HTML, `.rows` is the data. The column `ran` is `native` (in
        compressed form), `dense` (materialized, because that is faster), `fallback` (materialized, because the
        operation has no rule), `array` (not a node) or `unused`; `why` names the operations that needed a dense tensor.

    Raises:
        ValueError: If a size depends on unknown values.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.tensors import LowRank
        >>> tree = {"w": LowRank(jnp.ones((40, 2)), jnp.ones((2, 30)))}
        >>> print(summary(tree, lambda p, x: x @ p["w"], jnp.ones((1, 40))))
        path   shape  node     bits/weight  float32 bytes  bytes  in memory  ran            why
        w      40x30  LowRank        3.733          4,800    560        560  native
        total                        3.733          4,800    560        560  1 of 1 native
    """
    explained = None if fn is None else explain(fn)(tree, *args, **kwargs)
    return Summary(leaves(tree, explained=explained))
