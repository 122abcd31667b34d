"""Dropping the weakest connections and growing others, at a constant count: what SET and RigL share."""

import jax
import jax.numpy as jnp

from compressjax.core import top_mask


def drop_fraction(step: jax.Array | int, alpha: float, end: int) -> jax.Array:
    """Fraction of the kept weights that is exchanged at a step.

    .. math:: f_t = \\tfrac{\\alpha}{2}\\,(1 + \\cos(\\pi t / T_{end})),
        \\qquad f_t = 0 \\text{ from } T_{end} \\text{ on}

    Args:
        step: Number of steps done; may be traced.
        alpha: Fraction at the start, in (0, 1).
        end: Step from which nothing is exchanged.

    Returns:
        float32 array of the shape of `step`.

    Example:
        >>> round(drop_fraction(50, 0.3, 100).item(), 6)
        0.15
    """
    way = jnp.clip(jnp.asarray(step, jnp.float32) / max(end, 1), 0.0, 1.0)
    return jnp.where(jnp.asarray(step) >= end, 0.0, alpha / 2 * (1 + jnp.cos(jnp.pi * way)))


def exchange(weight: jax.Array, mask: jax.Array, growth: jax.Array, fraction: jax.Array) -> jax.Array:
    """The mask after dropping the smallest kept weights and growing as many that were out.

    .. math:: k = \\min(\\lfloor f\\,|M| \\rfloor,\\ N - |M|), \\quad
        M' = (M \\setminus \\text{k smallest } |w|) \\cup (\\text{k largest growth scores outside } M)

    What was dropped just now cannot grow back at once.

    Args:
        weight: Array.
        mask: Bool array of the same shape.
        growth: Score of the same shape; larger grows first. NaN grows last.
        fraction: Scalar, in [0, 1].

    Returns:
        Bool array with as many True entries as `mask`.

    Example:
        >>> mask = jnp.array([True, True, False, False])
        >>> exchange(jnp.array([3.0, 1.0, 0.0, 0.0]), mask, jnp.array([9.0, 9.0, 1.0, 2.0]), 0.5).tolist()
        [True, False, False, True]
    """
    active = jnp.sum(mask)
    # Half of 10 must be 5 also where a half is 0.49999997.
    moved = jnp.floor(fraction * active.astype(jnp.float32) + 1e-4).astype(jnp.int32)
    moved = jnp.minimum(moved, mask.size - active)
    size = jnp.nan_to_num(jnp.abs(weight).astype(jnp.float32), nan=0.0)
    stay = top_mask(jnp.where(mask, size, -1.0), active - moved)
    score = jnp.where(jnp.isnan(growth), jnp.finfo(jnp.float32).min, growth.astype(jnp.float32))
    return stay | top_mask(jnp.where(mask, -jnp.inf, score), moved)
