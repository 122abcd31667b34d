"""Control flow with a weight as operand: stacked weights stay compressed across iterations."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.interpret.jaxpr._bind import bind
from compressjax.interpret.jaxpr._calls import Evaluate, dense_all
from compressjax.interpret.jaxpr._records import Records, empty, joined, stacked
from compressjax.interpret.jaxpr._walk import passed
from compressjax.interpret.jaxpr._weight import Weight


def scan_counts(params: dict[str, Any], operands: int) -> tuple[int, int]:
    """Numbers of constants and carried values; `scan` stores counts up to JAX 0.10, a tree of operands since 0.12."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = (list(part) for part in params["ft_in"].update(list(range(operands))).unpack())
    return len(consts), len(carry)


def _kept(jaxpr: Any, operands: Sequence[Any], first: int) -> list[bool]:
    """Which carried operands are weights that the body returns unchanged, so that they are constants of the loop."""
    sources = passed(jaxpr)
    return [type(x) is Weight and sources[i] == first + i for i, x in enumerate(operands)]


def _merged(kept: Sequence[bool], weights: Sequence[Any], carry: Sequence[Any]) -> list[Any]:
    """All carried operands, from those that stay and those that change."""
    constant, changing = iter(weights), iter(carry)
    return [next(constant) if same else next(changing) for same in kept]


def _added(sums: Records, child: Any) -> Records:
    """Sums with the records of a nested trace; arrays of single products cannot leave a branch or an open loop."""
    return sums if child.stacks else joined(sums, child.collected())


def _scan(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    p = eqn.params
    fixed, carried = scan_counts(p, len(inputs))
    consts, carry = inputs[:fixed], inputs[fixed : fixed + carried]
    kept = _kept(p["jaxpr"].jaxpr, carry, fixed)
    weights = [x for x, same in zip(carry, kept) if same]
    changing = [x for x, same in zip(carry, kept) if not same]
    changing = dense_all(changing, handler, "scan", "carried through a loop, so it may change")
    rows = []
    for x in inputs[fixed + carried :]:
        if isinstance(x, Weight):
            split = handler.stacked(x)
            x = handler.dense(x, "scan", "the loop's axis is not a stack axis of the node") if split is None else split
        rows.append(x)
    layers = {x.path: x.axes[0] if x.axes else () for x in rows if isinstance(x, Weight)}

    def body(state: Any, row: Any) -> Any:
        child, (carry, sums) = handler.spawn(), state
        row = [child.row(x) if isinstance(x, Weight) else x for x in row]
        args = [*consts, *_merged(kept, weights, carry), *row]
        out = evaluate(p["jaxpr"].jaxpr, p["jaxpr"].consts, args, child)
        new = [x for x, same in zip(out, kept) if not same]
        new = dense_all(new, child, "scan", "returned from a loop")
        ys = dense_all(out[carried:], child, "scan", "returned from a loop")
        # A stacked weight has a record per layer; the records of other weights add up over the iterations.
        found = child.collected()
        by_layer = {k: r for k, r in found.items() if handler.stacks or k.path in layers}
        rest = {k: r for k, r in found.items() if k not in by_layer}
        return (new, joined(sums, rest)), (ys, by_layer)

    def recorded(carry: Any, rows: Any) -> Records:
        first = jax.tree.map(lambda v: v[0] if p["length"] else jnp.zeros(v.shape[1:], v.dtype), rows)
        return body((carry, {}), first)[0][1]

    sums = empty(recorded, changing, rows) if handler.observes else {}
    (changing, sums), (ys, by_layer) = jax.lax.scan(
        body, (changing, sums), rows, length=p["length"], reverse=p["reverse"], unroll=p["unroll"]
    )
    handler.absorb(by_layer if handler.stacks else joined(sums, stacked(by_layer, layers)))
    return [*_merged(kept, weights, changing), *ys]


def _while(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    p = eqn.params
    tests, steps = p["cond_nconsts"], p["body_nconsts"]
    test_consts, step_consts = inputs[:tests], inputs[tests : tests + steps]
    carry = inputs[tests + steps :]
    kept = _kept(p["body_jaxpr"].jaxpr, carry, steps)
    weights = [x for x, same in zip(carry, kept) if same]
    changing = [x for x, same in zip(carry, kept) if not same]
    changing = dense_all(changing, handler, "while", "carried through a loop, so it may change")

    def test(state: Any) -> Any:
        child = handler.spawn()  # records are dropped: a condition cannot return them
        args = [*test_consts, *_merged(kept, weights, state[0])]
        out = evaluate(p["cond_jaxpr"].jaxpr, p["cond_jaxpr"].consts, args, child)
        return dense_all(out, child, "while", "used as a condition")[0]

    def step(state: Any) -> Any:
        child, (carry, sums) = handler.spawn(), state
        args = [*step_consts, *_merged(kept, weights, carry)]
        out = evaluate(p["body_jaxpr"].jaxpr, p["body_jaxpr"].consts, args, child)
        new = [x for x, same in zip(out, kept) if not same]
        return dense_all(new, child, "while", "returned from a loop"), _added(sums, child)

    sums = empty(lambda carry: step((carry, {}))[1], changing) if handler.observes else {}
    out, records = jax.lax.while_loop(test, step, (changing, sums))
    handler.absorb(records)
    return _merged(kept, weights, out)


def _cond(eqn: Any, inputs: Sequence[Any], handler: Any, evaluate: Evaluate) -> list[Any]:
    if eqn.params.get("branches_platforms") is not None:
        return bind(eqn, dense_all(inputs, handler, "cond", "the compiler needs branches by platform unchanged"))
    index, *operands = inputs
    if isinstance(index, Weight):
        index = handler.dense(index, "cond", "used as a predicate")

    def branch(closed: Any) -> Callable[..., Any]:
        def run(sums: Records, *args: Any) -> Any:
            child = handler.spawn()
            out = evaluate(closed.jaxpr, closed.consts, args, child)
            return dense_all(out, child, "cond", "returned from a branch"), _added(sums, child)

        return run

    branches = [branch(closed) for closed in eqn.params["branches"]]
    sums: Records = {}
    for each in branches if handler.observes else ():
        sums = joined(sums, empty(lambda *args, each=each: each({}, *args)[1], *operands))
    out, records = jax.lax.switch(index, branches, sums, *operands)
    handler.absorb(records)
    return out


LOOPS: dict[str, Callable[..., list[Any]]] = {"scan": _scan, "while": _while, "cond": _cond}
