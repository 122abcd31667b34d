"""Parameters and states of optimizers in short formats, rounded by chance."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import values, with_values
from compressjax.numerics._keys import key_data, stream
from compressjax.precision._formats import FLOATS, as_format, round_to
from compressjax.precision._policy import cast, is_float


class RoundedState(NamedTuple):
    """State of `stochastic_params` and `stochastic_state`: steps, a key, and the optimizer's state."""

    step: jax.Array
    key: jax.Array
    inner: Any


def stochastic_params(
    optimizer: optax.GradientTransformation, format: Any = None, *, key: jax.Array | None = None
) -> optax.GradientTransformationExtraArgs:
    """Makes updates after which parameters are numbers of a short format, rounded by chance.

    .. math:: \\theta \\leftarrow \\hat\\theta, \\quad \\hat\\theta \\text{ a neighbor of } \\theta + u, \\quad
        \\mathbb E\\, \\hat\\theta = \\theta + u

    Updates that are far smaller than the distance of two numbers of the format then still add up, where rounding to the
    nearest would drop each of them. No float32 copy of the parameters is kept; the optimizer sees them, gradients and
    its moments in float32. `optax.apply_updates` arrives at the rounded numbers exactly.

    Args:
        optimizer: Any optax transformation.
        format: As for `round_to`; None for the type of each parameter, and float32 parameters stay as they are.
        key: PRNG key; `jax.random.key(0)` by default.

    Returns:
        A transformation whose updates are float32.

    Raises:
        ValueError: If the format or the key is not known; from `update`, without `params`.

    Example:
        >>> tx = stochastic_params(optax.sgd(1.0))
        >>> params = {"w": jnp.ones(1000, jnp.bfloat16)}  # the next number is 1.0078
        >>> state = tx.init(params)
        >>> updates, _ = tx.update({"w": jnp.full(1000, -0.001)}, state, params)
        >>> moved = optax.apply_updates(params, updates)["w"]
        >>> moved.dtype.name, round(float(moved.astype(jnp.float32).mean()), 3)
        ('bfloat16', 1.001)

    Source: Gupta et al., arXiv:1502.02551 (gupta2015); bfloat16: Zamirai et al., arXiv:2010.06192 (zamirai2020).
    """
    form = None if format is None else as_format("stochastic_params", format)
    inner_update = optax.with_extra_args_support(optimizer).update

    def init(params: Any) -> RoundedState:
        return _start(optimizer, cast(params, "float32"), key)

    def update(grads: Any, state: RoundedState, params: Any = None, **extra: Any) -> tuple[Any, RoundedState]:
        if params is None:
            raise ValueError("stochastic_params: update needs params=, because it rounds what they become")
        updates, inner = inner_update(cast(grads, "float32"), state.inner, cast(params, "float32"), **extra)
        moves, own, new = values(updates), values(params), {}
        for path, u in moves.items():
            to = FLOATS.get(own[path].dtype.name) if form is None else form
            if to is None or to.name == "float32":
                continue
            start = own[path].astype(jnp.float32)
            landed = round_to(start + u.astype(jnp.float32), to, stream(state.key, path, state.step))
            # Without a move there is nothing to round: a parameter that is skipped or masked stays where it is.
            new[path] = jnp.where(u == 0, 0.0, landed - start)
        return with_values(updates, new), RoundedState(state.step + 1, state.key, inner)

    return optax.GradientTransformationExtraArgs(init, update)


def stochastic_state(
    optimizer: optax.GradientTransformation, format: Any = "bfloat16", *, key: jax.Array | None = None
) -> optax.GradientTransformationExtraArgs:
    """Keeps the floating arrays of an optimizer's state in a short type, rounded by chance after every step.

    .. math:: s_t = round(step(s_{t-1})), \\qquad \\mathbb E\\, round(x) = x

    The optimizer computes in float32. A decay such as 0.999, which rounding to the nearest bfloat16 would stop, then
    still acts on average.

    Args:
        optimizer: Any optax transformation.
        format: `"bfloat16"` or `"float16"`.
        key: PRNG key; `jax.random.key(0)` by default.

    Returns:
        A transformation whose state takes half of the bytes. Scalars stay float32.

    Raises:
        ValueError: If the format has no arrays of its own, or the key is not known.

    Example:
        >>> tx = stochastic_state(optax.adam(1e-3))
        >>> tx.init({"w": jnp.ones(4)}).inner[0].mu["w"].dtype.name
        'bfloat16'

    Source: Gupta et al., arXiv:1502.02551 (gupta2015).
    """
    form = as_format("stochastic_state", format)
    if form.name not in ("bfloat16", "float16"):
        raise ValueError(f"stochastic_state: format={form.name!r} must be 'bfloat16' or 'float16'; for 8 bits take "
                         "scale_by_adam_8bit")  # fmt: skip
    inner_update = optax.with_extra_args_support(optimizer).update

    def init(params: Any) -> RoundedState:
        state = _start(optimizer, params, key)
        return state._replace(inner=_leaves(state.inner, lambda x, number: x.astype(form.dtype)))

    def update(grads: Any, state: RoundedState, params: Any = None, **extra: Any) -> tuple[Any, RoundedState]:
        wide = _leaves(state.inner, lambda x, number: x.astype(jnp.float32))
        updates, inner = inner_update(grads, wide, params, **extra)

        def short(x: jax.Array, number: int) -> jax.Array:
            return round_to(x, form, stream(state.key, str(number), state.step)).astype(form.dtype)

        return updates, RoundedState(state.step + 1, state.key, _leaves(inner, short))

    return optax.GradientTransformationExtraArgs(init, update)


def _start(optimizer: Any, params: Any, key: jax.Array | None) -> RoundedState:
    data = key_data(jax.random.key(0) if key is None else key)
    return RoundedState(jnp.zeros((), jnp.int32), jnp.array(data), optimizer.init(params))


def _leaves(state: Any, change: Callable[[jax.Array, int], jax.Array]) -> Any:
    """A state with its floating arrays changed; scalars stay."""
    leaves, structure = jax.tree.flatten(state)
    changed = [change(x, i) if is_float(x) and x.ndim else x for i, x in enumerate(leaves)]
    return jax.tree.unflatten(structure, changed)
