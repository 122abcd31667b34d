"""Evaluation of a jaxpr equation by equation, shared by all interpreters."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from jax.extend import core as jex

Value = TypeVar("Value")

# Calls whose operands are exactly the arguments of their body.
PLAIN_CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2", "custom_jvp_call",
               "custom_vjp_call", "custom_vjp_call_jaxpr")  # fmt: skip


def walk(
    jaxpr: Any, equations: Iterable[tuple[int, Any]], consts: Sequence[Value], args: Sequence[Value],
    step: Callable[[int, Any, list[Value]], Sequence[Value]], literal: Callable[[Any], Value] = lambda value: value,
) -> list[Value]:  # fmt: skip
    """Evaluates a jaxpr whose variables hold what `step(number, eqn, operands)` returns: arrays, weights, labels."""
    env: dict[Any, Value] = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Value:
        return literal(atom.val) if isinstance(atom, jex.Literal) else env[atom]

    for number, eqn in equations:
        results = step(number, eqn, [read(atom) for atom in eqn.invars])
        env.update(zip(eqn.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def body_of(eqn: Any) -> tuple[Any, Sequence[Any]]:
    """The jaxpr that a call runs, and its constants."""
    inner = eqn.params["jaxpr"] if "jaxpr" in eqn.params else eqn.params["call_jaxpr"]
    return (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())


def passed(jaxpr: Any) -> list[int | None]:
    """For every result, the position of the argument that it is, unchanged; None for computed results."""
    source = {id(var): i for i, var in enumerate(jaxpr.invars)}
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in PLAIN_CALLS and ("jaxpr" in eqn.params or "call_jaxpr" in eqn.params):
            body = body_of(eqn)[0]
            if len(body.invars) == len(eqn.invars):
                for var, inner in zip(eqn.outvars, passed(body), strict=True):
                    if inner is not None and id(eqn.invars[inner]) in source:
                        source[id(var)] = source[id(eqn.invars[inner])]
    return [source.get(id(var)) for var in jaxpr.outvars]


def needed(jaxpr: Any) -> list[tuple[int, Any]]:
    """Equations on which the results depend, with their indices."""
    return _live(jaxpr, [True] * len(jaxpr.outvars), lambda eqn, outs: [True] * len(eqn.invars))[0]


def effective(jaxpr: Any, results: Sequence[bool] | None = None) -> list[bool]:
    """Whether the results depend on each argument; loops and branches count as reading all operands."""
    live = _live(jaxpr, [True] * len(jaxpr.outvars) if results is None else results, _reads)[1]
    return [id(var) in live for var in jaxpr.invars]


def _live(
    jaxpr: Any, results: Sequence[bool], reads: Callable[[Any, Sequence[bool]], Sequence[bool]]
) -> tuple[list[tuple[int, Any]], set[int]]:
    """Equations on which some results depend, and the ids of the variables that these equations read."""
    live = {id(atom) for atom, matters in zip(jaxpr.outvars, results, strict=True) if matters}
    kept = []
    for number, eqn in reversed(list(enumerate(jaxpr.eqns))):
        outs = [id(var) in live for var in eqn.outvars]
        if any(outs):
            live.update(id(atom) for atom, acts in zip(eqn.invars, reads(eqn, outs), strict=True) if acts)
            kept.append((number, eqn))
    return kept[::-1], live


def _reads(eqn: Any, outs: Sequence[bool]) -> list[bool]:
    if eqn.primitive.name in PLAIN_CALLS and ("jaxpr" in eqn.params or "call_jaxpr" in eqn.params):
        body = body_of(eqn)[0]
        if (len(body.invars), len(body.outvars)) == (len(eqn.invars), len(eqn.outvars)):
            return effective(body, outs)
    return [True] * len(eqn.invars)
