"""Calls and control flow of a narrowed function, with narrowed bodies."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from compressjax.interpret.coupling._labels import Place
from compressjax.interpret.jaxpr._loops import scan_counts
from compressjax.interpret.jaxpr._walk import PLAIN_CALLS, body_of

Flow = Callable[[Any, Any, Sequence[Any], Place], list[Any]]


def _call(cutter: Any, eqn: Any, inputs: Sequence[Any], place: Place) -> list[Any]:
    jaxpr, consts = body_of(eqn)
    return cutter.run(jaxpr, consts, inputs, (*place, 0))


def _remat(cutter: Any, eqn: Any, inputs: Sequence[Any], place: Place) -> list[Any]:
    def body(*args: Any) -> list[Any]:
        return _call(cutter, eqn, args, place)

    return jax.checkpoint(body, prevent_cse=eqn.params["prevent_cse"], policy=eqn.params["policy"])(*inputs)


def _scan(cutter: Any, eqn: Any, inputs: Sequence[Any], place: Place) -> list[Any]:
    p = eqn.params
    fixed, carried = scan_counts(p, len(inputs))
    consts, start, stacks = inputs[:fixed], inputs[fixed : fixed + carried], inputs[fixed + carried :]

    def body(carry: Any, rows: Any) -> Any:
        out = cutter.run(p["jaxpr"].jaxpr, p["jaxpr"].consts, [*consts, *carry, *rows], (*place, 0))
        return out[:carried], out[carried:]

    length = next((x.shape[0] for x in stacks), p["length"])  # every removed layer is one iteration less
    carry, ys = jax.lax.scan(body, list(start), list(stacks), length, p["reverse"], p["unroll"])
    return [*carry, *ys]


def _while(cutter: Any, eqn: Any, inputs: Sequence[Any], place: Place) -> list[Any]:
    p = eqn.params
    tests, steps = p["cond_nconsts"], p["body_nconsts"]
    test_consts, step_consts = inputs[:tests], inputs[tests : tests + steps]

    def test(carry: Any) -> Any:
        closed = p["cond_jaxpr"]
        return cutter.run(closed.jaxpr, closed.consts, [*test_consts, *carry], (*place, 0))[0]

    def step(carry: Any) -> Any:
        closed = p["body_jaxpr"]
        return cutter.run(closed.jaxpr, closed.consts, [*step_consts, *carry], (*place, 1))

    return jax.lax.while_loop(test, step, list(inputs[tests + steps :]))


def _cond(cutter: Any, eqn: Any, inputs: Sequence[Any], place: Place) -> list[Any]:
    def branch(number: int, closed: Any) -> Callable[..., Any]:
        return lambda *args: cutter.run(closed.jaxpr, closed.consts, args, (*place, number))

    branches = [branch(number, closed) for number, closed in enumerate(eqn.params["branches"])]
    return jax.lax.switch(inputs[0], branches, *inputs[1:])


NARROW_FLOW: dict[str, Flow] = {
    **dict.fromkeys(PLAIN_CALLS, _call),
    **dict.fromkeys(("checkpoint", "remat", "remat2"), _remat),
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
