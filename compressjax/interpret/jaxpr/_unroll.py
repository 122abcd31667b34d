"""Loops over stacked layers, written out."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.interpret.jaxpr._bind import Context, bind
from compressjax.interpret.jaxpr._loops import scan_counts
from compressjax.interpret.jaxpr._trace import is_array, trace
from compressjax.interpret.jaxpr._walk import PLAIN_CALLS, body_of, walk

# Calls that may be written out: a custom derivative keeps its own rule.
OPEN_CALLS = tuple(name for name in PLAIN_CALLS if not name.startswith("custom"))


class _Value(NamedTuple):
    x: Any
    data: bool  # whether it depends on other arguments than the first


def unrolled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function with every `scan` written out that runs over something made from its first argument alone."""

    def run(params: Any, *args: Any) -> Any:
        leaves, structure = jax.tree.flatten(((params, *args), {}))
        held = sum(map(is_array, jax.tree.leaves(params)))
        program = trace(fn, leaves, structure)
        inputs = [_Value(x, i >= held) for i, x in enumerate(program.inputs)]
        found = _evaluate(program.closed.jaxpr, program.closed.consts, inputs)
        return program.finish([value.x for value in found])

    return run


def _evaluate(jaxpr: Any, consts: Sequence[Any], args: Sequence[_Value]) -> list[_Value]:
    with Context() as context:

        def step(_: int, eqn: Any, inputs: list[_Value]) -> list[_Value]:
            context.enter(eqn)
            if eqn.primitive.name in OPEN_CALLS:
                return _evaluate(*body_of(eqn), inputs)
            fixed = sum(scan_counts(eqn.params, len(inputs))) if eqn.primitive.name == "scan" else len(inputs)
            if any(not value.data for value in inputs[fixed:]):
                return _scan(eqn, inputs)
            data = any(value.data for value in inputs)
            return [_Value(x, data) for x in bind(eqn, [value.x for value in inputs])]

        known = [_Value(x, False) for x in consts]
        return walk(jaxpr, enumerate(jaxpr.eqns), known, args, step, lambda x: _Value(x, False))


def _scan(eqn: Any, inputs: list[_Value]) -> list[_Value]:
    fixed, carried = scan_counts(eqn.params, len(inputs))
    body, consts, carry = eqn.params["jaxpr"], inputs[:fixed], inputs[fixed : fixed + carried]
    turns = range(eqn.params["length"])
    stacks: list[list[_Value]] = []
    for turn in reversed(turns) if eqn.params["reverse"] else turns:
        row = [_Value(jax.lax.index_in_dim(x, turn, keepdims=False), data) for x, data in inputs[fixed + carried :]]
        out = _evaluate(body.jaxpr, body.consts, [*consts, *carry, *row])
        carry = out[:carried]
        stacks.append(out[carried:])
    if eqn.params["reverse"]:
        stacks.reverse()
    return [*carry, *(_Value(jnp.stack([v.x for v in ys]), any(v.data for v in ys)) for ys in zip(*stacks))]
