"""Tracing a function as if its nodes were dense, and running the result with a handler."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import is_node, path_string
from compressjax.interpret.jaxpr._evaluate import evaluate
from compressjax.interpret.jaxpr._shapes import computed
from compressjax.interpret.jaxpr._weight import Weight, varying_axes
from compressjax.interpret.lifting._explicit import dense_sharding


def _is_array(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct)


def _is_leaf(x: Any) -> bool:
    return is_node(x) or isinstance(x, Weight)


def _stand_in(weight: Weight) -> jax.ShapeDtypeStruct:
    """An abstract dense array, with the mesh axes over which the node's arrays vary, and their sharding if typed."""
    shape, dtype = weight.shape, computed(weight.node.dtype)
    axes = frozenset().union(*(varying_axes(leaf) for leaf in jax.tree.leaves(weight)))
    if axes:
        return jax.eval_shape(lambda: jax.lax.pcast(jnp.zeros(shape, dtype), tuple(sorted(axes)), to="varying"))
    return jax.ShapeDtypeStruct(shape, dtype, sharding=dense_sharding(weight.node))


def run(fn: Callable[..., Any], args: Any, kwargs: Any, mark: Callable[[str, Any], Any], handler: Any) -> Any:
    """Traces `fn` on dense stand-ins and interprets it where `mark(path, leaf)` gives a weight; results are dense."""
    flat, structure = jax.tree_util.tree_flatten_with_path((args, kwargs), is_leaf=_is_leaf)
    leaves = [mark(path_string(path[2:]), leaf) or leaf for path, leaf in flat]
    program = trace(fn, leaves, structure)
    closed = program.closed
    out = evaluate(closed.jaxpr, closed.consts, program.inputs, handler)
    return program.finish(
        [handler.dense(x, "return", "returned by the function") if isinstance(x, Weight) else x for x in out]
    )


class Program(NamedTuple):
    """A traced call.

    Attributes:
        closed: Its jaxpr.
        inputs: The leaves that are its arguments; the others are static.
        finish: From the jaxpr's results to what the function returns.
    """

    closed: Any
    inputs: list[Any]
    finish: Callable[[Sequence[Any]], Any]


def trace(fn: Callable[..., Any], leaves: Sequence[Any], structure: Any) -> Program:
    """Traces a call whose arguments are given as leaves; those that are neither arrays nor weights are static."""
    dynamic = [isinstance(leaf, Weight) or _is_array(leaf) for leaf in leaves]
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
    """Whether a result goes through the trace; strings, functions and the like are handed out as they are."""
    return isinstance(x, jax.Array | np.ndarray | np.generic | bool | int | float | complex)
