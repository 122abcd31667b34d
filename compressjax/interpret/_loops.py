"""Control flow that a weight enters: stacked weights stay compressed across iterations."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from compressjax.interpret._bind import bind
from compressjax.interpret._calls import Evaluate, dense_all
from compressjax.interpret._weight import Weight


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
    carry = dense_all(inputs[fixed : fixed + carried], handler, "scan", "carried through a loop, so it may change")
    rows = []
    for x in inputs[fixed + carried :]:
        if isinstance(x, Weight):
            split = handler.stacked(x)
            x = handler.dense(x, "scan", "the loop's axis is not a stack axis of the node") if split is None else split
        rows.append(x)

    def body(carry: Any, row: Any) -> Any:
        child = handler.spawn()
        out = evaluate(p["jaxpr"].jaxpr, p["jaxpr"].consts, [*consts, *carry, *row], child)
        out = dense_all(out, child, "scan", "returned from a loop")
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
    carry = dense_all(inputs[tests + steps :], handler, "while", "carried through a loop, so it may change")

    def run(closed: Any, consts: Any, carry: Any) -> list[Any]:
        # Records cannot leave a loop of unknown length: what a while does with a weight is not observed.
        child = handler.spawn()
        return dense_all(evaluate(closed.jaxpr, closed.consts, [*consts, *carry], child), child, "while", "returned")

    return jax.lax.while_loop(
        lambda c: run(p["cond_jaxpr"], test_consts, c)[0], lambda c: run(p["body_jaxpr"], step_consts, c), carry
    )


def _cond(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    if eqn.params.get("branches_platforms") is not None:
        return bind(eqn, dense_all(inputs, handler, "cond", "branches by platform must reach the compiler as they are"))
    index, *operands = inputs
    children = [handler.spawn() for _ in eqn.params["branches"]]

    def branch(closed: Any, child: Any) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            out = evaluate(closed.jaxpr, closed.consts, args, child)
            return dense_all(out, child, "cond", "returned from a branch")

        return run

    if isinstance(index, Weight):
        index = handler.dense(index, "cond", "used as a predicate")
    return jax.lax.switch(
        index, [branch(b, c) for b, c in zip(eqn.params["branches"], children, strict=True)], *operands
    )


LOOPS: dict[str, Callable[..., list[Any]]] = {"scan": _scan, "while": _while, "cond": _cond}
