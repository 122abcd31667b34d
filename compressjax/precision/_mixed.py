"""A function with its products in a narrow format."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.interpret.jaxpr._trace import Program, is_array, trace
from compressjax.precision._evaluate import evaluate
from compressjax.precision._policy import Policy, as_policy, cast, is_float
from compressjax.precision._products import product
from compressjax.precision._scaling import Delay, Scaling
from compressjax.precision._values import Run, Value


def mixed(fn: Callable[..., Any], policy: Policy | str = "bfloat16", *, interpret: bool = True) -> Callable[..., Any]:
    """Transforms a function so that its products run in a narrow format, and its reductions stay wide.

    .. math:: x W \\;\\to\\; round(x)\\, round(W)

    The function is traced in float32, and its jaxpr runs operation by operation: products take operands of
    `policy.compute`; sums, exponentials, powers, roots and logarithms run in `policy.reduce`; what works entry by entry
    keeps the type of its operands. Parameters and constants take the type of what they meet, and their gradients are
    summed in their own type. Loops carry float32. Functions with derivatives of their own run as they are written.

    Args:
        fn: Any JAX function; code that is narrow or float64 already stays so.
        policy: A policy, or the name of its compute format. 8-bit floats get a scale from each tensor; see `delayed`.
        interpret: False casts arguments to `compute` and results to `output`, and leaves the function as it is.

    Returns:
        A function of the same arguments; works under `jit`, `grad`, `vmap` and sharding.

    Raises:
        ValueError: If the policy is not one.

    Example:
        >>> run = mixed(lambda w, x: jax.nn.softmax(x @ w), "bf16")
        >>> x, w = jnp.array([[1 + 2.0**-9, 0.0]]), jnp.eye(2)
        >>> run(w, x).dtype.name, bool(run(w, x)[0, 0] == jax.nn.softmax(jnp.array([1.0, 0.0]))[0])
        ('float32', True)

    Source: Micikevicius et al., arXiv:1710.03740 (micikevicius2018).
    """
    chosen = as_policy("mixed", policy)
    if not interpret:
        return lambda *args, **kwargs: cast(fn(*cast(args, chosen.compute), **cast(kwargs, chosen.compute)),
                                            chosen.output)  # fmt: skip
    rule = product(chosen, Delay(0.0, None))
    return lambda *args, **kwargs: evaluated(fn, args, kwargs, lambda: Run(chosen, rule))


def evaluated(fn: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], start: Callable[[], Run]) -> Any:
    """Traces a call in float32 and evaluates it under a policy."""
    leaves, structure = jax.tree.flatten((args, kwargs))
    program, arrays = traced(fn, leaves, structure)
    run, closed = start(), program.closed
    consts = [Value(x, True) for x in closed.consts]
    out = evaluate(closed.jaxpr, consts, [Value(x, True) for x in arrays], run)
    kind, kept = run.policy.output.dtype, [var.aval.dtype == jnp.float32 for var in closed.jaxpr.outvars]
    return program.finish([jnp.asarray(x.array, kind) if to else x.array for x, to in zip(out, kept, strict=True)])


def traced(fn: Callable[..., Any], leaves: Sequence[Any], structure: Any) -> tuple[Program, list[Any]]:
    """A call traced with narrow arguments as float32, and its arrays."""
    wide = [jax.eval_shape(lambda v: v.astype(jnp.float32), x) if _is_narrow(x) else x for x in leaves]
    return trace(fn, wide, structure), [x for x in leaves if is_array(x)]


def _is_narrow(x: Any) -> bool:
    return is_array(x) and is_float(x) and jnp.finfo(x.dtype).bits < 32


def sites(fn: Callable[..., Any], args: Any, kwargs: Any, policy: Policy) -> dict[str, tuple[int, ...]]:
    """The products of a call, with the lengths of the loops around each."""
    found: dict[str, tuple[int, ...]] = {}
    rule = product(policy, Delay(0.0, None))
    leaves, structure = jax.tree.flatten((args, kwargs))
    dynamic = [i for i, x in enumerate(leaves) if is_array(x)]

    def call(*arrays: Any) -> Any:
        full = list(leaves)
        for i, x in zip(dynamic, arrays, strict=True):
            full[i] = x
        given, named = jax.tree.unflatten(structure, full)
        out = evaluated(fn, given, named, lambda: Run(policy, rule, found=found))
        return [x for x in jax.tree.leaves(out) if is_array(x)]

    jax.eval_shape(call, *(leaves[i] for i in dynamic))
    return found


def with_states(
    fn: Callable[..., Any], policy: Policy, delay: Delay, states: Mapping[str, Scaling], args: Any, kwargs: Any
) -> Any:
    """Evaluates a call whose products have states."""
    rule, found = product(policy, delay), dict[str, tuple[int, ...]]()
    out = evaluated(fn, args, kwargs, lambda: Run(policy, rule, states, found=found))
    if apart := sorted(found.keys() ^ states.keys()):
        # Products are counted in the order of the trace, so that all after the first that differs are others too.
        where = (
            "the call has, and the states have not" if apart[0] in found else "the states have, and the call has not"
        )
        raise ValueError(f"delayed: {where} a product {apart[0]!r}, so they are of another function or mode; "
                         "call init with the arguments of this call, or use mixed for it")  # fmt: skip
    return out
