"""Calls with a weight as operand: the interpreter evaluates their bodies and emits the same kind of call."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from compressjax.core import Dense, ops
from compressjax.interpret.jaxpr._walk import body_of
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.interpret.lifting._explicit import materialize

Evaluate = Callable[..., list[Any]]


def dense_all(xs: Sequence[Any], handler: Any, primitive: str, reason: str) -> list[Any]:
    """Materializes the weights among operands or results, and records it."""
    return [handler.dense(x, primitive, reason) if isinstance(x, Weight) else x for x in xs]


def _call(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    return evaluate(*body_of(eqn), inputs, handler)


def _remat(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    def body(*args: Any) -> Any:
        child = handler.spawn()
        out = evaluate(*body_of(eqn), args, child)
        return out, child.collected()

    wrapped = jax.checkpoint(body, prevent_cse=eqn.params["prevent_cse"], policy=eqn.params["policy"])
    out, records = wrapped(*inputs)
    handler.absorb(records)
    return out


def _custom_derivative(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    """Takes values from the interpreted body, and derivatives from the function's own rule on dense weights."""

    def densely(*args: Any) -> list[Any]:
        plain = [materialize(x) if isinstance(x, Weight) else x for x in args]
        return list(eqn.primitive.bind(*plain, **eqn.primitive.get_bind_params(eqn.params)))

    @jax.custom_jvp
    def run(*args: Any) -> Any:
        child = handler.spawn()
        out = evaluate(*body_of(eqn), args, child)
        # The rule has no derivative of what was recorded.
        records = {} if child.stacks else child.collected()
        return dense_all(out, child, eqn.primitive.name, "result of a custom derivative"), records

    @run.defjvp
    def _run_jvp(primals: Any, tangents: Any) -> Any:
        out, records = run(*primals)
        _, out_tangents = jax.jvp(densely, primals, tangents)
        return (out, records), (out_tangents, jax.tree.map(_zero_tangent, records))

    out, records = run(*inputs)
    handler.absorb(records)
    return out


def _zero_tangent(x: Any) -> Any:
    floating = jax.numpy.issubdtype(x.dtype, jax.numpy.floating)
    return jax.numpy.zeros_like(x) if floating else np.zeros(x.shape, jax.dtypes.float0)


def _shard_map(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    """Shards the node like its dense tensor; products inside are not observed."""
    p = eqn.params
    operands, specs = [], []
    for x, spec in zip(inputs, p["in_specs"], strict=True):
        if isinstance(x, Weight):
            parts = ops.specs(x.node, spec, dict(p["mesh"].shape))
            if isinstance(parts, Dense):
                x = handler.dense(x, "shard_map", parts.reason)
            else:
                spec = Weight(parts, x.path)
        operands.append(x)
        specs.append(spec)

    def body(*args: Any) -> tuple[Any, ...]:
        child = handler.spawn()
        out = evaluate(*body_of(eqn), args, child)
        return tuple(dense_all(out, child, "shard_map", "returned from shard_map"))

    mapped = jax.shard_map(
        body, mesh=p["mesh"], in_specs=tuple(specs), out_specs=tuple(p["out_specs"]), check_vma=p["check_vma"],
        axis_names=p["newly_manual_axes"],
    )  # fmt: skip
    return list(mapped(*operands))


CALLS: dict[str, Callable[..., list[Any]]] = {
    "jit": _call,
    "pjit": _call,
    "closed_call": _call,
    "core_call": _call,
    "checkpoint": _remat,
    "remat": _remat,
    "remat2": _remat,
    "custom_jvp_call": _custom_derivative,
    "custom_vjp_call": _custom_derivative,
    "custom_vjp_call_jaxpr": _custom_derivative,
    "shard_map": _shard_map,
}
