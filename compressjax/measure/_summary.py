"""The table that answers what a tree is: how every leaf is stored, in how many bytes, and how it runs."""

from collections.abc import Callable
from typing import Any, NamedTuple

from compressjax.interpret import explain
from compressjax.measure._leaves import leaves
from compressjax.measure._table import html, table

_COLUMNS = {
    "path": "path", "shape": "shape", "method": "node", "bits_per_weight": "bits/weight",
    "float32_bytes": "float32 bytes", "packed_bytes": "bytes", "execution": "ran", "reason": "why",
}  # fmt: skip


class Summary(NamedTuple):
    """What `summary` returns: text when printed, an HTML table in a notebook.

    Attributes:
        rows: One mapping a leaf, as `measure.leaves` gives them; the totals are the last.
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
    """The table of a tree: shape, node, bits a weight and bytes of every leaf; with a function, also how it runs.

    Args:
        tree: Tree of arrays and nodes; masks must be concrete.
        fn: The function that uses the tree, written for dense parameters: `fn(tree, *args, **kwargs)`. It is traced,
            not run.
        *args: Its other arguments; `jax.ShapeDtypeStruct` suffices in the place of arrays.
        **kwargs: Its keyword arguments.

    Returns:
        `Summary`: `print` shows text, a notebook shows HTML, `.rows` is the data. The column `ran` says `native` (on
        the compressed form), `dense` (made dense, as no faster form exists), `fallback` (made dense, as the operation
        has no rule), `array` (no node) or `unused`; `why` names the operations that needed the dense tensor.

    Raises:
        ValueError: If a size depends on values that are not there.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.tensors import LowRank
        >>> tree = {"w": LowRank(jnp.ones((40, 2)), jnp.ones((2, 30)))}
        >>> print(summary(tree, lambda p, x: x @ p["w"], jnp.ones((1, 40))))
        path   shape  node     bits/weight  float32 bytes  bytes  ran            why
        w      40x30  LowRank        3.733          4,800    560  native
        total                        3.733          4,800    560  1 of 1 native
    """
    explained = None if fn is None else explain(fn)(tree, *args, **kwargs)
    return Summary(leaves(tree, explained=explained))
