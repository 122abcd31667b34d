"""Centered kernel alignment: how similar two layers are."""

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import centered, examples, kept, unit, weighted_mean
from compressjax.numerics._numerics import root


def cka(x: jax.Array, y: jax.Array, *, weights: jax.Array | None = None) -> jax.Array:
    """Returns the linear centered kernel alignment (CKA) of two sets of features of the same examples.

    .. math:: CKA = \\frac{\\|Y^\\top X\\|_F^2}{\\|X^\\top X\\|_F \\|Y^\\top Y\\|_F}

    for features that are centered over the examples. It is 1 for features that are equal up to rotation, shift and
    scale, and numbers of features may differ.

    Args:
        x: `[batch, ...]`, two examples or more, any floating-point dtype; all axes but the first are features.
        y: `[batch, ...]`.
        weights: At least 0, broadcast to `[batch]`; None weighs all alike.

    Returns:
        Scalar, float32, in [0, 1]; 0 if a layer is constant.

    Raises:
        ValueError: If the batches differ.

    Example:
        >>> x = jnp.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
        >>> round(cka(x, 5 * x + 1).item(), 4)
        1.0

    Source: Kornblith et al., arXiv:1905.00414 (kornblith2019).
    """
    a, b, weights = examples("cka", x, y, weights, least=2)
    # The measure has two equal sides: neither is a teacher.
    b = kept(jnp.reshape(y, b.shape), weights)
    return jnp.sum(gram(a, weights) * gram(b, weights))


def gram(x: jax.Array, weights: jax.Array) -> jax.Array:
    """Products of centered examples `[batch * batch]`, as a vector of length 1."""
    mean = jax.vmap(lambda column: weighted_mean(column, weights), in_axes=1)(x)
    # Scaling keeps the squares finite, and does not change the result.
    x = unit(centered(x, jnp.broadcast_to(mean, x.shape)).reshape(-1)).reshape(x.shape) * root(weights)[:, None]
    return unit(jnp.matmul(x, x.T, precision=jax.lax.Precision.HIGHEST).reshape(-1))
