"""`prepare`: nodes in the form that runs fastest, that keeps integer products, or that takes the fewest bytes."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import jax

from compressjax.core import Dense, is_node, ops
from compressjax.core._paths import map_with_path, path_string
from compressjax.core._use import Use, used
from compressjax.interpret.jaxpr._weight import Row
from compressjax.interpret.lifting._lift import survey
from compressjax.interpret.lifting._uses import Uses

KEEP = ("speed", "integers", "bytes")
LARGE = 1 << 16  # smaller matrices are as fast in float32 on every machine, so nothing is lost


def prepare(tree: Any, fn: Callable[..., Any] | None = None, *args: Any, keep: str = "speed", **kwargs: Any) -> Any:
    """Converts nodes to the form that runs fastest on this machine, or takes the fewest bytes, with the same values.

    Masks and float tables become dense arrays once, instead of in every call. Integer grids with rounded activations
    become codes in the fastest layout where integer products are at least as fast as float32 ones, else dense arrays.
    That is a rule and not a measurement, so the same machine gives the same program: on CPUs it reads the processor's
    int8 instructions, the version of jaxlib, the entries of the leaf, and the fewest rows that the function multiplies
    with it; if no large grid stays, a warning says so. Without a function, one row is assumed, or several where the
    processor and jaxlib have fast int8 products. Low-rank factors and sums stay. This trades memory for speed: the
    arrays in memory may be larger than those in the file.

    With a function, weights of which it only reads rows (embeddings), and weights that it does not use, stay
    compressed. Their codes of at most 4 bits are packed in memory: two or four codes per byte. Grids with rounded
    activations that are depthwise kernels stay on CPUs: they run in floats, as sums of shifted images.

    With `keep="integers"`, integer products stay where they can run, also where they are slower than float32: for
    results as on a machine on which they are faster.

    With `keep="bytes"`, every node stays compressed, with packed codes; zeros under a mask go into the codes. Products
    then unpack the codes in every call, which is slower on CPUs. `measure.memory_bytes` counts the bytes.

    Args:
        tree: A tree of arrays and nodes, as loaded from an artifact.
        fn: Function for dense parameters, `fn(tree, *args, **kwargs)`; it is traced, not run.
        *args: Other positional arguments of `fn`; arrays may be `jax.ShapeDtypeStruct`.
        keep: `"speed"`; `"integers"` for integer products whatever their speed; `"bytes"` for the smallest form in
            memory, whatever the function does.
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
    if keep not in KEEP:
        raise ValueError(f"prepare: keep={keep!r} is unknown; use 'speed', 'integers' or 'bytes'")
    if keep == "bytes":
        return jax.tree.map(ops.pack, tree, is_leaf=is_node)
    uses = Uses()
    packed = set() if fn is None else _read_by_row(survey(fn, (tree, *args), kwargs, uses))
    kept: list[bool] = []

    def convert(path: Any, leaf: Any) -> Any:
        name = path_string(path)
        if name in packed:
            return ops.pack(leaf)
        with used(Use(uses.fewest.get(name), name in uses.depthwise, keep == "integers")):
            ready = ops.prepare(leaf)
        if not isinstance(ops.as_grid(leaf), Dense) and leaf.size >= LARGE:
            kept.append(is_node(ready))
        return ready

    made = map_with_path(convert, tree, is_leaf=is_node)
    if fn is not None and kept and not any(kept):
        warnings.warn(
            f"prepare: none of {len(kept)} large integer products is as fast as float32 on this machine, so all run in "
            "float32; keep='integers' keeps them",
            stacklevel=2,
        )
    return made


def _read_by_row(rows: Iterable[Row]) -> set[str]:
    """Paths of weights that meet nothing but look-ups on their compressed form."""
    other: set[str] = set()
    found: set[str] = set()
    for row in rows:
        idle = row.status == "unused" or (row.primitive, row.status) == ("gather", "native")
        (found if idle else other).add(row.path)
    return found - other
