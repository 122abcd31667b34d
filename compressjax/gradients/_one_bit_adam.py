"""1-bit Adam: momentum by signs, after the variances have settled."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Selector, kernels, values, with_values
from compressjax.core._settings import as_int, numbers
from compressjax.gradients._compressor import Draw
from compressjax.gradients._exchange import PerWorker, chosen
from compressjax.gradients._link import Link
from compressjax.gradients._signs import scaled_sign
from compressjax.numerics import with_auto_axes


class OneBitState(NamedTuple):
    """State of `one_bit_adam`: steps, both moments, and the errors of every worker."""

    step: jax.Array
    mu: dict[str, jax.Array]
    nu: dict[str, jax.Array]
    errors: PerWorker


def one_bit_adam(
    freeze: int,
    axis_name: Any = None,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    select: Selector = kernels,
) -> optax.GradientTransformation:
    """Returns Adam that sends its momentum as signs, with error feedback, once its variances are frozen.

    .. math:: \\bar m = \\tfrac1n \\textstyle\\sum_w C(b_1 m + (1 - b_1) g_w + e_w), \\qquad
        u = \\hat m / (\\sqrt{\\hat v_T} + \\epsilon)

    Before step `T = freeze` it is `optax.scale_by_adam` on averaged gradients. Chain it with `optax.scale(-rate)`.

    Args:
        freeze: Steps of plain Adam, at least 1; the paper takes 15 to 25 % of training.
        axis_name: As for `exchange`.
        b1: Decay of the momentum, in [0, 1).
        b2: Decay of the variances, in [0, 1).
        eps: Added to the root, positive.
        select: Leaves to compress; the others stay with plain averages, and with frozen variances too.

    Returns:
        A transformation whose updates are the same on all workers; about `d/4` bytes after `freeze`.

    Raises:
        ValueError: If an argument is out of range, or no leaf is selected.

    Example:
        >>> tx = optax.chain(one_bit_adam(freeze=100), optax.scale(-1e-3))
        >>> params = {"kernel": jnp.ones((2, 2))}
        >>> round(float(tx.update(params, tx.init(params))[0]["kernel"][0, 0]), 5)
        -0.001

    Source: Tang et al., arXiv:2102.02888 (tang2021).
    """
    freeze = as_int("one_bit_adam", "freeze", freeze)
    b1, b2, eps = numbers("one_bit_adam", b1=b1, b2=b2, eps=eps)
    if freeze < 1 or not 0 <= b1 < 1 or not 0 <= b2 < 1 or not eps > 0:
        raise ValueError(f"one_bit_adam: freeze={freeze} must be at least 1, b1={b1} and b2={b2} in [0, 1), "
                         f"eps={eps} positive")  # fmt: skip
    link, compressor = Link(axis_name), scaled_sign()

    def init(params: Any) -> OneBitState:
        found = chosen("one_bit_adam", params, select)
        mu, nu = ({path: jnp.zeros_like(x, jnp.float32) for path, x in values(params).items()} for _ in range(2))
        errors = {path: jnp.zeros_like(x, jnp.float32)[None] for path, x in found.items()}
        return OneBitState(jnp.zeros((), jnp.int32), mu, nu, PerWorker(errors))

    def dense(grads: dict[str, jax.Array], state: OneBitState) -> tuple[Any, Any, Any]:
        mean = link.mean(grads)
        mu = {path: b1 * state.mu[path] + (1 - b1) * g for path, g in mean.items()}
        nu = {path: b2 * state.nu[path] + (1 - b2) * g**2 for path, g in mean.items()}
        return mu, nu, state.errors.tree

    def signs(grads: dict[str, jax.Array], state: OneBitState) -> tuple[Any, Any, Any]:
        draw, errors = Draw(jax.random.key(0), jax.random.key(0), state.step), dict(state.errors.tree)
        mu = {path: b1 * state.mu[path] + (1 - b1) * g for path, g in grads.items()}
        for path, x in mu.items():
            if path not in errors:
                mu[path] = link.mean(x)
                continue
            total = x + errors[path][0]
            own, mu[path], _ = compressor.exchange(total, (), draw, link)
            errors[path] = (total - own)[None]
        return mu, state.nu, errors

    def moments(grads: dict[str, jax.Array], state: OneBitState) -> tuple[Any, Any, Any]:
        return jax.lax.cond(state.step < freeze, dense, signs, grads, state)

    def update(grads: Any, state: OneBitState, params: Any = None) -> tuple[Any, OneBitState]:
        del params
        given = {path: g.astype(jnp.float32) for path, g in values(grads).items()}
        mu, nu, errors = with_auto_axes(moments, (state.mu, state.nu, state.errors.tree))(given, state)
        count = state.step + 1
        first, second = 1 - b1**count, 1 - b2 ** jnp.minimum(count, freeze)
        new = {path: (mu[path] / first / (jnp.sqrt(nu[path] / second) + eps)) for path in mu}
        new = {path: new[path].astype(g.dtype) for path, g in values(grads).items()}
        return with_values(grads, new), OneBitState(count, mu, nu, PerWorker(errors))

    return optax.GradientTransformation(init, update)
