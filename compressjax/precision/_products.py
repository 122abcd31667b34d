"""Products in the compute format of a policy: narrow types, fixed point, and 8-bit floats with scales."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.numerics._numerics import straight_through
from compressjax.precision._formats import Format, round_to
from compressjax.precision._policy import Policy
from compressjax.precision._scaling import Delay, Scaling, backward, current, forward

Product = Callable[[Any, Sequence[jax.Array], Scaling | None], jax.Array]


def product(policy: Policy, delay: Delay) -> Product:
    """The rule for products under a policy."""
    form = policy.compute
    if form.scaled:
        return functools.partial(_eight_bits, policy, delay)
    return functools.partial(_fixed if form.step else _narrow, policy)


def bound(eqn: Any, operands: Sequence[jax.Array], dtype: Any) -> jax.Array:
    """One product on operands of a type, with results of a type."""
    params = {**eqn.params, "preferred_element_type": jnp.dtype(dtype)}
    out = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(params))
    return out[0] if eqn.primitive.multiple_results else out


def _narrow(policy: Policy, eqn: Any, operands: Sequence[jax.Array], state: Scaling | None) -> jax.Array:
    """Operands, results and gradients of one type; hardware sums in float32."""
    del state
    dtype = policy.compute.dtype
    cast = [x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x for x in operands]
    return bound(eqn, cast, dtype)


def _fixed(policy: Policy, eqn: Any, operands: Sequence[jax.Array], state: Scaling | None) -> jax.Array:
    """Operands and gradients on the grid, sums in float32; rounding passes gradients straight through."""
    del state
    rounded = [straight_through(x, round_to(x, policy.compute)) for x in operands[:2]]
    return _back(policy.gradients, bound(eqn, [*rounded, *operands[2:]], jnp.float32))


def _eight_bits(
    policy: Policy, delay: Delay, eqn: Any, operands: Sequence[jax.Array], state: Scaling | None
) -> jax.Array:
    """Operands and gradients on scales: those of the state, or without one those of the tensors themselves."""
    form, wide = policy.compute, operands[:2]
    if state is None:
        rounded = [straight_through(x, current(x, form)) for x in wide]
        return _back(policy.gradients, bound(eqn, [*rounded, *operands[2:]], jnp.float32))
    parts = [(state.scale[i], state.history[i]) for i in range(3)]
    rounded = [forward(form, delay, x, *part) for x, part in zip(wide, parts[:2], strict=True)]
    return backward(policy.gradients, delay, bound(eqn, [*rounded, *operands[2:]], jnp.float32), *parts[2])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _back(form: Format, y: jax.Array) -> jax.Array:
    """The array itself, with its gradient rounded."""
    del form
    return y


def _back_fwd(form: Format, y: jax.Array) -> tuple[jax.Array, None]:
    del form
    return y, None


def _back_bwd(form: Format, held: None, g: jax.Array) -> tuple[jax.Array]:
    del held
    return (current(g, form).astype(g.dtype) if form.scaled else round_to(g, form),)


_back.defvjp(_back_fwd, _back_bwd)
