"""Evaluates a jaxpr that was traced in float32 under a policy."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.interpret.jaxpr._bind import Context, bind
from compressjax.interpret.jaxpr._walk import walk
from compressjax.numerics._explicit import explicit
from compressjax.precision._calls import CALLS
from compressjax.precision._primitives import FLOWS, PRODUCTS, REDUCTIONS, REPEATS
from compressjax.precision._values import Run, Value, as_traced, as_type, in_float32, type_of


def evaluate(jaxpr: Any, consts: Sequence[Value], args: Sequence[Value], run: Run) -> list[Value]:
    """Evaluates a jaxpr; results have the types that the policy gives them."""
    with Context() as context:

        def step(_: int, eqn: Any, inputs: list[Value]) -> Sequence[Value]:
            context.enter(eqn)
            if eqn.primitive.name in CALLS:
                return CALLS[eqn.primitive.name](eqn, inputs, run, evaluate)
            return _apply(eqn, inputs, run)

        return walk(jaxpr, enumerate(jaxpr.eqns), consts, args, step, lambda value: Value(value, True, True))


def _apply(eqn: Any, inputs: list[Value], run: Run) -> list[Value]:
    name, pairs = eqn.primitive.name, list(zip(inputs, eqn.invars, strict=True))
    ruled = [x for x, atom in pairs if in_float32(atom)]
    if not ruled or (name in PRODUCTS and not all(in_float32(atom) for atom in eqn.invars[:2])):
        return [Value(x) for x in bind(eqn, [as_traced(x, atom) for x, atom in pairs])]
    if name in PRODUCTS:
        state = run.state(run.name(name))
        return [Value(run.product(eqn, [as_traced(x, atom) for x, atom in pairs], state))]
    if name == "convert_element_type" and eqn.params["new_dtype"] == jnp.float32:
        return inputs
    constant = all(x.constant for x in inputs)
    if name in FLOWS:
        met = [x for x in ruled if not x.soft] or [x for x in ruled if not x.constant] or ruled
        target = jnp.result_type(*map(type_of, met))
        if name == "broadcast_in_dim" and target != jnp.float32 and not constant:
            return [Value(bind(eqn, [inputs[0].array.astype(jnp.float32)])[0].astype(target), inputs[0].soft)]
        alike = [_spread(x, eqn, target) if in_float32(atom) else x.array for x, atom in pairs]
        return [Value(x, all(x.soft for x in ruled), constant) for x in bind(eqn, alike)]
    narrow = name in REDUCTIONS and not constant
    target = jnp.dtype(run.policy.reduce.dtype if narrow else jnp.float32)
    sums = [as_type(x, target) if in_float32(atom) else x.array for x, atom in pairs]
    return [Value(x, constant, constant) for x in bind(eqn, sums)]


def _spread(x: Value, eqn: Any, target: Any) -> Any:
    """An operand in a type; what its operation repeats is repeated in float32, so that its gradients add up in that."""
    shape = eqn.outvars[0].aval.shape
    narrow = target != jnp.float32 and not x.constant and eqn.primitive.name in REPEATS
    if not narrow or x.array.shape == shape or explicit(jax.typeof(x.array)) is not None:
        return as_type(x, target)
    return jnp.broadcast_to(x.array.astype(jnp.float32), shape).astype(target)
