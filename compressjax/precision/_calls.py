"""Calls, loops and branches under a policy: their bodies are evaluated, and the same kind of call is emitted."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core as jex

from compressjax.interpret.jaxpr._bind import bind
from compressjax.interpret.jaxpr._loops import scan_counts
from compressjax.interpret.jaxpr._walk import body_of
from compressjax.precision._values import Run, Value, as_traced, in_float32

Evaluate = Callable[..., list[Value]]


def _consts(values: Sequence[Any]) -> list[Value]:
    return [Value(x, True) for x in values]


def _call(eqn: Any, inputs: Sequence[Value], run: Run, evaluate: Evaluate) -> list[Value]:
    jaxpr, consts = body_of(eqn)
    return evaluate(jaxpr, _consts(consts), inputs, run)


def _traced(eqn: Any, inputs: Sequence[Value]) -> list[Any]:
    return [as_traced(x, atom) for x, atom in zip(inputs, eqn.invars, strict=True)]


def _custom_derivative(eqn: Any, inputs: Sequence[Value], run: Run, evaluate: Evaluate) -> list[Value]:
    """Runs as traced, because its rule for derivatives is written for that; results return to the operands' type."""
    del run, evaluate
    met = [x for x, atom in zip(inputs, eqn.invars, strict=True) if in_float32(atom)]
    hard = [x.array.dtype for x in met if not x.soft]
    target = jnp.result_type(*hard) if hard else None
    out = []
    for x, var in zip(bind(eqn, _traced(eqn, inputs)), eqn.outvars, strict=True):
        narrow = target is not None and in_float32(var)
        out.append(Value(x.astype(target) if narrow else x, bool(met) and not hard))
    return out


def _emitted(
    eqn: Any,
    inputs: Sequence[Value],
    run: Run,
    evaluate: Evaluate,
    wrap: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> list[Value]:
    """The call around the evaluated body; which results are soft is known from its trace."""
    kinds: list[list[tuple[bool, bool]]] = []
    arrays = [jnp.asarray(x.array) if x.constant else x.array for x in inputs]
    jaxpr, consts = body_of(eqn)

    def body(*args: Any) -> tuple[Any, ...]:
        given = [x._replace(array=array) for x, array in zip(inputs, args, strict=True)]
        out = evaluate(jaxpr, _consts(consts), given, run)
        kinds.append([(x.soft, x.constant) for x in out])
        return tuple(x.array for x in out)

    out = wrap(body)(*arrays)
    return [Value(x, *kind) for x, kind in zip(out, kinds[-1], strict=True)]


def _remat(eqn: Any, inputs: Sequence[Value], run: Run, evaluate: Evaluate) -> list[Value]:
    p = eqn.params
    return _emitted(eqn, inputs, run, evaluate,
                    lambda body: jax.checkpoint(body, prevent_cse=p["prevent_cse"], policy=p["policy"]))  # fmt: skip


def _shard_map(eqn: Any, inputs: Sequence[Value], run: Run, evaluate: Evaluate) -> list[Value]:
    p = eqn.params
    return _emitted(eqn, inputs, run.apart(), evaluate, lambda body: jax.shard_map(
        body, mesh=p["mesh"], in_specs=tuple(p["in_specs"]), out_specs=tuple(p["out_specs"]),
        check_vma=p["check_vma"], axis_names=p["newly_manual_axes"],
    ))  # fmt: skip


def _wide(out: Sequence[Value], atoms: Sequence[Any]) -> list[Any]:
    return [as_traced(x, atom) for x, atom in zip(out, atoms, strict=True)]


def _scan(eqn: Any, inputs: Sequence[Value], run: Run, evaluate: Evaluate) -> list[Value]:
    """Carried values stay in float32, because what a loop adds to them is a sum; rows and results do not."""
    p, body_jaxpr = eqn.params, eqn.params["jaxpr"]
    fixed, carried = scan_counts(p, len(inputs))
    consts, rows = inputs[:fixed], inputs[fixed + carried :]
    carry = _traced(eqn, inputs)[fixed : fixed + carried]
    prefix = f"{run.name('scan')}/"
    states = {site: state for site, state in run.states.items() if site.startswith(prefix)}

    def body(carry: Any, row: Any) -> Any:
        arrays, own = row
        args = [*consts, *map(Value, carry), *(x._replace(array=a) for x, a in zip(rows, arrays, strict=True))]
        out = evaluate(body_jaxpr.jaxpr, _consts(body_jaxpr.consts), args, run.inside(prefix, p["length"], own))
        atoms = body_jaxpr.jaxpr.outvars
        return _wide(out[:carried], atoms[:carried]), [jnp.asarray(x.array) for x in out[carried:]]

    last, ys = jax.lax.scan(body, carry, ([x.array for x in rows], states), length=p["length"], reverse=p["reverse"],
                            unroll=p["unroll"])  # fmt: skip
    return [Value(x) for x in (*last, *ys)]


def _while(eqn: Any, inputs: Sequence[Value], run: Run, evaluate: Evaluate) -> list[Value]:
    p = eqn.params
    tests, steps = p["cond_nconsts"], p["body_nconsts"]
    arrays = _traced(eqn, inputs)
    condition, body_jaxpr = jex.jaxpr_as_fun(p["cond_jaxpr"]), p["body_jaxpr"]

    def step(carry: Any) -> Any:
        args = [*inputs[tests : tests + steps], *map(Value, carry)]
        out = evaluate(body_jaxpr.jaxpr, _consts(body_jaxpr.consts), args, run.apart())
        return _wide(out, body_jaxpr.jaxpr.outvars)

    out = jax.lax.while_loop(lambda carry: condition(*arrays[:tests], *carry)[0], step, arrays[tests + steps :])
    return [Value(x) for x in out]


def _cond(eqn: Any, inputs: Sequence[Value], run: Run, evaluate: Evaluate) -> list[Value]:
    if eqn.params.get("branches_platforms") is not None:
        return [Value(x) for x in bind(eqn, _traced(eqn, inputs))]
    index, *operands = inputs

    def branch(closed: Any) -> Callable[..., Any]:
        def chosen(*args: Any) -> Any:
            given = [x._replace(array=array) for x, array in zip(operands, args, strict=True)]
            out = evaluate(closed.jaxpr, _consts(closed.consts), given, run.apart())
            return _wide(out, closed.jaxpr.outvars)

        return chosen

    branches = [branch(closed) for closed in eqn.params["branches"]]
    return [Value(x) for x in jax.lax.switch(index.array, branches, *(jnp.asarray(x.array) for x in operands))]


CALLS: dict[str, Callable[..., list[Value]]] = {
    **dict.fromkeys(("jit", "pjit", "closed_call", "core_call"), _call),
    **dict.fromkeys(("checkpoint", "remat", "remat2"), _remat),
    **dict.fromkeys(
        ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"), _custom_derivative
    ),
    "shard_map": _shard_map,
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}  # fmt: skip
