"""`prepare`: nodes in the form that runs fastest, or that takes the fewest bytes."""

from collections.abc import Callable, Iterable
from typing import Any

import jax

from compressjax.core import is_node, ops
from compressjax.core._paths import map_with_path, path_string
from compressjax.interpret.jaxpr._weight import Row
from compressjax.interpret.lifting._lift import explain


def prepare(tree: Any, fn: Callable[..., Any] | None = None, *args: Any, keep: str = "speed", **kwargs: Any) -> Any:
    """Converts nodes to the form that runs fastest on this machine, or takes the fewest bytes, with the same values.

    Masks, float tables and small integer matrices become dense arrays once, instead of in every call. Larger integer
    grids become `Quantized` codes in the fastest layout. Low-rank factors and sums stay. This trades memory for speed:
    the arrays in memory may be larger than those in the file.

    With a function, weights of which it only reads rows (embeddings), and weights that it does not use, stay
    compressed. Their codes of at most 4 bits are packed in memory: two or four codes per byte.

    With `keep="bytes"`, every node stays compressed, with packed codes; zeros under a mask go into the codes. Products
    then unpack the codes in every call, which is slower on CPUs. `measure.memory_bytes` counts the bytes.

    Args:
        tree: A tree of arrays and nodes, as loaded from an artifact.
        fn: Function for dense parameters, `fn(tree, *args, **kwargs)`; it is traced, not run.
        *args: Other positional arguments of `fn`; arrays may be `jax.ShapeDtypeStruct`.
        keep: `"speed"`, or `"bytes"` for the smallest form in memory, whatever the function does.
        **kwargs: Keyword arguments of `fn`.

    Returns:
        A tree for `lift`; results are equal up to rounding, including the rounding of activations.

    Raises:
        ValueError: If `keep` is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.tensors import Masked
        >>> prepare({"kernel": Masked(jnp.ones((2, 2)), jnp.eye(2, dtype=bool))})["kernel"].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    if keep not in ("speed", "bytes"):
        raise ValueError(f"prepare: keep={keep!r} is unknown; use 'speed' or 'bytes'")
    if keep == "bytes":
        return jax.tree.map(ops.pack, tree, is_leaf=is_node)
    packed = set() if fn is None else _read_by_row(explain(fn)(tree, *args, **kwargs))

    def convert(path: Any, leaf: Any) -> Any:
        return ops.pack(leaf) if path_string(path) in packed else ops.prepare(leaf)

    return map_with_path(convert, tree, is_leaf=is_node)


def _read_by_row(rows: Iterable[Row]) -> set[str]:
    """Paths of weights that meet nothing but look-ups on their compressed form."""
    other: set[str] = set()
    found: set[str] = set()
    for row in rows:
        idle = row.status == "unused" or (row.primitive, row.status) == ("gather", "native")
        (found if idle else other).add(row.path)
    return found - other
