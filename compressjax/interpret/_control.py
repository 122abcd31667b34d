"""Calls and control flow that a weight enters: the interpreter goes inside and emits the same structure again."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from compressjax.interpret._weight import Weight

Evaluate = Callable[..., list[Any]]


def _dense_all(xs: Sequence[Any], handler: Any, primitive: str, reason: str) -> list[Any]:
    return [handler.dense(x, primitive, reason) if isinstance(x, Weight) else x for x in xs]


def _call(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    closed = eqn.params["jaxpr"] if "jaxpr" in eqn.params else eqn.params["call_jaxpr"]
    return evaluate(closed.jaxpr, closed.consts, inputs, handler)


def _remat(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    def body(*args: Any) -> Any:
        child = handler.spawn()
        out = evaluate(eqn.params["jaxpr"], (), args, child)
        return out, child.collected()

    wrapped = jax.checkpoint(body, prevent_cse=eqn.params["prevent_cse"], policy=eqn.params["policy"])
    out, records = wrapped(*inputs)
    handler.absorb(records, stacked=False)
    return out


def _custom_derivative(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    """Values come from the interpreted body, derivatives from the function's own rule on dense weights."""
    closed = eqn.params["call_jaxpr"]

    def densely(*args: Any) -> list[Any]:
        plain = [x.materialize() if isinstance(x, Weight) else x for x in args]
        return list(eqn.primitive.bind(*plain, **eqn.primitive.get_bind_params(eqn.params)))

    @jax.custom_jvp
    def run(*args: Any) -> Any:
        child = handler.spawn()
        out = evaluate(closed.jaxpr, closed.consts, args, child)
        return _dense_all(out, child, eqn.primitive.name, "result of a custom derivative"), child.collected()

    @run.defjvp
    def _run_jvp(primals: Any, tangents: Any) -> Any:
        out, records = run(*primals)
        _, out_tangents = jax.jvp(densely, primals, tangents)
        return (out, records), (out_tangents, jax.tree.map(_zero_tangent, records))

    out, records = run(*inputs)
    handler.absorb(records, stacked=False)
    return out


def _zero_tangent(x: Any) -> Any:
    floating = jax.numpy.issubdtype(x.dtype, jax.numpy.floating)
    return jax.numpy.zeros_like(x) if floating else np.zeros(x.shape, jax.dtypes.float0)


def _scan_counts(params: dict[str, Any], operands: int) -> tuple[int, int]:
    """Numbers of constants and of carried values: plain counts up to JAX 0.10, a tree of operands from 0.12 on."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = (list(part) for part in params["ft_in"].update(list(range(operands))).unpack())
    return len(consts), len(carry)


def _scan(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    p = eqn.params
    fixed, carried = _scan_counts(p, len(inputs))
    consts = inputs[:fixed]
    carry = _dense_all(inputs[fixed : fixed + carried], handler, "scan", "carried through a loop, so it may change")
    rows = []
    for x in inputs[fixed + carried :]:
        if isinstance(x, Weight):
            split = handler.stacked(x)
            x = handler.dense(x, "scan", "the loop's axis is not a stack axis of the node") if split is None else split
        rows.append(x)

    def body(carry: Any, row: Any) -> Any:
        child = handler.spawn()
        out = evaluate(p["jaxpr"].jaxpr, p["jaxpr"].consts, [*consts, *carry, *row], child)
        out = _dense_all(out, child, "scan", "returned from a loop")
        return out[:carried], (out[carried:], child.collected())

    carry, (ys, records) = jax.lax.scan(
        body, carry, rows, length=p["length"], reverse=p["reverse"], unroll=p["unroll"],
    )  # fmt: skip
    handler.absorb(records, stacked=True)
    return [*carry, *ys]


def _while(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    p = eqn.params
    tests, steps = p["cond_nconsts"], p["body_nconsts"]
    test_consts, step_consts = inputs[:tests], inputs[tests : tests + steps]
    carry = _dense_all(inputs[tests + steps :], handler, "while", "carried through a loop, so it may change")

    def run(closed: Any, consts: Any, carry: Any) -> list[Any]:
        # Records cannot leave a loop of unknown length: what a while does with a weight is not observed.
        child = handler.spawn()
        return _dense_all(evaluate(closed.jaxpr, closed.consts, [*consts, *carry], child), child, "while", "returned")

    return jax.lax.while_loop(
        lambda c: run(p["cond_jaxpr"], test_consts, c)[0], lambda c: run(p["body_jaxpr"], step_consts, c), carry
    )


def _cond(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    index, *operands = inputs
    children = [handler.spawn() for _ in eqn.params["branches"]]

    def branch(closed: Any, child: Any) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            out = evaluate(closed.jaxpr, closed.consts, args, child)
            return _dense_all(out, child, "cond", "returned from a branch")

        return run

    if isinstance(index, Weight):
        index = handler.dense(index, "cond", "used as a predicate")
    return jax.lax.switch(index, [branch(b, c) for b, c in zip(eqn.params["branches"], children, strict=True)], *operands)


RULES: dict[str, Callable[..., list[Any]]] = {
    "jit": _call,
    "pjit": _call,
    "closed_call": _call,
    "core_call": _call,
    "checkpoint": _remat,
    "remat2": _remat,
    "custom_jvp_call": _custom_derivative,
    "custom_vjp_call": _custom_derivative,
    "custom_vjp_call_jaxpr": _custom_derivative,
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
