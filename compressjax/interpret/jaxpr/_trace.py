"""Traces a function with dense arrays in place of its nodes, and evaluates the jaxpr with a handler."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import is_node
from compressjax.core._paths import flatten_with_path, path_string
from compressjax.interpret.jaxpr._evaluate import evaluate
from compressjax.interpret.jaxpr._shapes import computed
from compressjax.interpret.jaxpr._weight import Weight, varying_axes
from compressjax.interpret.lifting._explicit import dense_sharding


def is_array(x: Any) -> bool:
    """Whether a leaf is traced; all others are static."""
    return isinstance(x, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct)


def _is_leaf(x: Any) -> bool:
    return is_node(x) or isinstance(x, Weight)


def _stand_in(weight: Weight) -> jax.ShapeDtypeStruct:
    """Abstract dense array, with the mesh axes over which the node's arrays vary, and its sharding if explicit."""
    shape, dtype = weight.shape, computed(weight.node.dtype)
    axes = frozenset().union(*(varying_axes(leaf) for leaf in jax.tree.leaves(weight)))
    if axes:
        return jax.eval_shape(lambda: jax.lax.pcast(jnp.zeros(shape, dtype), tuple(sorted(axes)), to="varying"))
    return jax.ShapeDtypeStruct(shape, dtype, sharding=dense_sharding(weight.node))


def _is_packed(x: Any) -> bool:
    return isinstance(x, Weight) and is_node(x.node)


def run(fn: Callable[..., Any], args: Any, kwargs: Any, mark: Callable[[str, Any], Any], handler: Any) -> Any:
    """Traces `fn` on abstract dense arrays and evaluates it with the weights that `mark(path, leaf)` returns."""
    flat, structure = flatten_with_path((args, kwargs), is_leaf=_is_leaf)
    leaves = [mark(path_string(path[2:]), leaf) or leaf for path, leaf in flat]
    try:
        program = trace(fn, leaves, structure)
    except Exception as error:  # the function may raise anything on weights of other shapes than it was written for
        packed = [f"{x.path} {type(x.node).__name__}{list(x.shape)}" for x in leaves if _is_packed(x)]
        if packed:
            error.add_note(f"The function failed on the dense shapes of these nodes: {', '.join(packed[:8])}")
        raise
    closed = program.closed
    out = evaluate(closed.jaxpr, closed.consts, program.inputs, handler)
    return program.finish(
        [handler.dense(x, "return", "returned by the function") if isinstance(x, Weight) else x for x in out]
    )


class Program(NamedTuple):
    """A traced call."""

    closed: Any  # the closed jaxpr
    inputs: list[Any]  # the leaves that are its arguments; all other leaves are static
    finish: Callable[[Sequence[Any]], Any]  # from the results of the jaxpr to the result of the function


def trace(fn: Callable[..., Any], leaves: Sequence[Any], structure: Any) -> Program:
    """Traces a call, given its arguments as leaves; leaves that are neither arrays nor weights are static."""
    dynamic = [isinstance(leaf, Weight) or is_array(leaf) for leaf in leaves]
    box: list[Any] = []

    def flat_fn(*arrays: Any) -> list[Any]:
        supply = iter(arrays)
        full = [next(supply) if d else leaf for d, leaf in zip(dynamic, leaves, strict=True)]
        a, k = jax.tree.unflatten(structure, full)
        out, out_structure = jax.tree.flatten(fn(*a, **k))
        box.append((out_structure, [x if not _is_result(x) else None for x in out]))
        return [x for x in out if _is_result(x)]

    def finish(out: Sequence[Any]) -> Any:
        supply, (out_structure, static) = iter(out), box[-1]
        return jax.tree.unflatten(out_structure, [next(supply) if x is None else x for x in static])

    inputs = [leaf for d, leaf in zip(dynamic, leaves, strict=True) if d]
    closed = jax.make_jaxpr(flat_fn)(*(_stand_in(x) if isinstance(x, Weight) else x for x in inputs))
    return Program(closed, inputs, finish)


def _is_result(x: Any) -> bool:
    """Whether a result is traced; strings, functions and other objects are returned unchanged."""
    return isinstance(x, jax.Array | np.ndarray | np.generic | bool | int | float | complex)


def abstractly(fn: Callable[..., Any], *args: Any) -> Any:
    """`jax.eval_shape(fn, *args)` for arguments that may have leaves that are no arrays; these are static."""
    flat, structure = jax.tree.flatten(args)
    arrays = [i for i, x in enumerate(flat) if hasattr(x, "dtype") and hasattr(x, "shape")]

    def traced(*dynamic: Any) -> Any:
        full = list(flat)
        for i, x in zip(arrays, dynamic, strict=True):
            full[i] = x
        return fn(*jax.tree.unflatten(structure, full))

    return jax.eval_shape(traced, *(flat[i] for i in arrays))
