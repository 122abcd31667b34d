"""`without`: a function with some weights set to zero, without the operations that then have no effect."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._paths import flatten_with_path, path_string
from compressjax.interpret.coupling._label_entries import ENTRIES, SOURCES, vanishing
from compressjax.interpret.coupling._label_layout import LAYOUT_LABELS
from compressjax.interpret.jaxpr._bind import Context, bind
from compressjax.interpret.jaxpr._shapes import shapes
from compressjax.interpret.jaxpr._trace import trace
from compressjax.interpret.jaxpr._walk import PLAIN_CALLS, body_of, needed, walk

_LINEAR = ("dot_general", "ragged_dot_general", "conv_general_dilated")
_KEEP = (*LAYOUT_LABELS, "reduce_sum", "reduce_max", "reduce_min", "gather", "dynamic_slice", "cumsum",
         "reduce_window_sum", "reduce_window_max")  # fmt: skip
_SUMS = ("add", "add_any", "sub")


class _Zero(NamedTuple):
    """An array of zeros that is not materialized."""

    shape: tuple[int, ...]
    dtype: Any

    def made(self) -> jax.Array:
        return jnp.zeros(self.shape, self.dtype)


class _Missing(NamedTuple):
    """A value that depends on a weight that was not given."""

    name: str


def _dense(x: Any) -> Any:
    return x.made() if isinstance(x, _Zero) else x


def _value(x: Any) -> float | None:
    """Value of a scalar that is known at trace time; None for anything else."""
    known = isinstance(x, np.generic | np.ndarray | float | int) and np.shape(x) == ()
    return float(x) if known and np.result_type(x).kind in "fiu" else None


def _equation(eqn: Any, inputs: Sequence[Any]) -> list[Any]:
    """Results of one equation with an operand that is zero or missing."""
    name, zeros = eqn.primitive.name, [isinstance(x, _Zero) for x in inputs]
    out = [_Zero(var.aval.shape, var.aval.dtype) for var in eqn.outvars]
    read = zeros[:1] if name in ("gather", "dynamic_slice") else zeros
    if (name in _LINEAR and any(zeros)) or (name in _KEEP and all(read)):
        return list(out)
    missing = [x for x in inputs if isinstance(x, _Missing)]
    if name in _SUMS and sum(zeros) == 1 and len(inputs) == 2 and not missing:
        other = inputs[zeros.index(False)]
        if name == "sub" and zeros[0]:
            other = -other
        return [jnp.broadcast_to(other, out[0].shape).astype(out[0].dtype)]
    if name in ENTRIES and name not in SOURCES and name != "optimization_barrier":
        flags = [(zero or _value(x) == 0, _value(x)) for zero, x in zip(zeros, inputs, strict=True)]
        if vanishing(name, eqn.params, flags):
            return list(out)
    return missing[:1] * len(out) if missing else bind(eqn, [_dense(x) for x in inputs])


def _run(jaxpr: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    with Context() as context:

        def step(_: int, eqn: Any, inputs: list[Any]) -> list[Any]:
            context.enter(eqn)
            if not any(isinstance(x, _Zero | _Missing) for x in inputs):
                return bind(eqn, inputs)
            if eqn.primitive.name in PLAIN_CALLS:
                return _run(*body_of(eqn), inputs)
            return _equation(eqn, inputs)

        return walk(jaxpr, needed(jaxpr), consts, args, step)


def without(fn: Callable[..., Any], like: Any, paths: Collection[str]) -> Callable[..., Any]:
    """Transforms a function by setting some weights to zero and removing the operations that then have no effect.

    A product with zero is zero, and a sum with zero is its other operand. So a residual branch with zero weights
    disappears.

    .. math:: without(f)(w', x) = f(w' \\cup 0, x)
    """
    wide = shapes(like)
    names = [path_string(path) for path, _ in flatten_with_path(wide)[0]]
    if missing := sorted(set(paths) - set(names)):
        raise ValueError(f"no weights at {missing}; the tree has {names[:8]}")

    def smaller(weights: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        leaves, structure = jax.tree.flatten(((wide, *args), kwargs))
        program = trace(fn, leaves, structure)
        inputs, closed = list(program.inputs), program.closed
        dynamic = [name for name, leaf in zip(names, leaves) if hasattr(leaf, "dtype")]
        for i, name in enumerate(dynamic):
            aval = closed.in_avals[i]
            if name in paths:
                inputs[i] = _Zero(aval.shape, aval.dtype)
            else:
                inputs[i] = weights.get(name, _Missing(name))
        out = _run(closed.jaxpr, closed.consts, inputs)
        if lost := [x.name for x in out if isinstance(x, _Missing)]:
            raise ValueError(f"the results depend on the weight {lost[0]!r}, which was not given")
        return program.finish([_dense(x) for x in out])

    return smaller
