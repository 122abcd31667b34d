"""Contrastive learning from two views of every example."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import kept, log_soft, temperature_of, unit, weighted_mean, weights_of


def nt_xent_loss(
    first: jax.Array, second: jax.Array, *, temperature: Any = 0.5, weights: jax.Array | None = None
) -> jax.Array:
    """Returns the loss of SimCLR: the other view of an example is to be told from all views of all others.

    .. math:: L = -\\frac{1}{2b} \\sum_{i=1}^{2b} \\log
        \\frac{e^{z_i^\\top z_{i'} / T}}{\\sum_{j \\ne i} e^{z_i^\\top z_j / T}}

    for unit vectors `z`, and the other view `i'` of the example of `i`. Networks for few labels are trained so before
    they are tuned and distilled.

    Args:
        first: `[batch, ...]`, projected features of one view, any floating-point dtype.
        second: `[batch, ...]`, of the other view. Gradients flow to both.
        temperature: `T`, above 0; may be traced.
        weights: At least 0, broadcast to `[batch]`; examples of weight 0 are no negatives. None weighs all alike.

    Returns:
        Scalar, float32; 0 for a single example.

    Raises:
        ValueError: If shapes differ, or the temperature is not positive.

    Example:
        >>> x = jnp.eye(2)
        >>> round(nt_xent_loss(x, x, temperature=1.0).item(), 4)
        0.5514

    Source: Chen et al., arXiv:2002.05709 (chen2020).
    """
    who, shapes = "nt_xent_loss", (jnp.shape(first), jnp.shape(second))
    if shapes[0] != shapes[1] or len(shapes[0]) < 2:
        raise ValueError(f"{who}: views {shapes[0]} and {shapes[1]} must be [batch, features] over the same examples")
    temperature, batch = temperature_of(who, temperature), shapes[0][0]
    given = weights_of(who, weights, (batch,))
    views = [unit(jnp.reshape(kept(x, given), (batch, -1))) for x in (first, second)]
    both, twice = jnp.concatenate(views), jnp.concatenate([given, given])
    alike = jnp.matmul(both, both.T, precision=jax.lax.Precision.HIGHEST) / temperature
    place = jnp.arange(2 * batch)
    other = (place + batch) % (2 * batch)
    # The other view stays, also where its weight is 0, so that every row has a finite term.
    counted = (jnp.broadcast_to(twice != 0, alike.shape) & (place[:, None] != place[None, :])) | (
        place[None, :] == other[:, None]
    )
    found = log_soft(jnp.where(counted, alike, -jnp.inf), 1.0)
    return weighted_mean(-jnp.take_along_axis(found, other[:, None], axis=1)[:, 0], twice)
