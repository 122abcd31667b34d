"""Relations between the tokens of a sequence, as MiniLM compares them."""

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.distill._pairs import divergence, kept, weighted_mean, weights_of


def minilm_loss(student: jax.Array, teacher: jax.Array, *, heads: int, weights: jax.Array | None = None) -> jax.Array:
    """Returns the MiniLM loss of one kind of vectors: queries, keys or values; add the losses of several.

    .. math:: L = \\frac{1}{h} \\sum_a \\frac{1}{n} \\sum_i KL(R^t_{ai} \\,\\|\\, R^s_{ai}), \\quad
        R_a = softmax(X_a X_a^\\top / \\sqrt{d / h})

    The vectors of all heads are cut anew into `h` relation heads, so numbers of heads and widths may differ.

    Args:
        student: `[batch, length, d_student]`, heads merged, any floating-point dtype.
        teacher: `[batch, length, d_teacher]`; no gradient flows to it.
        heads: `h`, which divides both widths.
        weights: At least 0, broadcast to `[batch, length]`: queries count by it, keys of weight 0 are masked. None
            weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over queries.

    Raises:
        ValueError: If batches, lengths or heads do not fit.

    Example:
        >>> x = jnp.ones((1, 3, 4))
        >>> minilm_loss(x, x, heads=2).item()
        0.0

    Source: Wang et al., arXiv:2002.10957 (wang2020minilm) and arXiv:2012.15828 (wang2021minilm).
    """
    who = "minilm_loss"
    heads = as_int(who, "heads", heads)
    shapes = jnp.shape(student), jnp.shape(teacher)
    if min(len(s) for s in shapes) != 3 or shapes[0][:-1] != shapes[1][:-1]:
        raise ValueError(
            f"{who}: student {shapes[0]} and teacher {shapes[1]} must be [batch, length, features] of the same tokens"
        )
    if heads < 1 or any(s[-1] % heads for s in shapes):
        raise ValueError(f"{who}: heads={heads} must divide {shapes[0][-1]} and {shapes[1][-1]} features")
    weights = weights_of(who, weights, shapes[0][:-1])
    own = _relations(kept(student, weights), heads, weights)
    its = jax.lax.stop_gradient(_relations(kept(teacher, weights), heads, weights))
    return weighted_mean(jnp.mean(divergence(its, own), axis=1), weights)


def _relations(x: jax.Array, heads: int, weights: jax.Array) -> jax.Array:
    """Logarithms `[batch, heads, queries, keys]`."""
    x = x.reshape(*x.shape[:-1], heads, -1)
    scores = jnp.einsum("bqhd,bkhd->bhqk", x, x, precision=jax.lax.Precision.HIGHEST) * x.shape[-1] ** -0.5
    # A sequence without any token keeps its keys, so that nothing is infinite.
    seen = (weights != 0) | jnp.all(weights == 0, axis=-1, keepdims=True)
    seen = jnp.broadcast_to(seen[:, None, None], scores.shape)
    return jax.nn.log_softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
