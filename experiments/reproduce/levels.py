"""Probabilities of the levels of a pixel: mixtures of logistic distributions, rounded to levels."""

import jax
import jax.numpy as jnp


def log_probs(params: jax.Array, levels: jax.Array, top: int) -> jax.Array:
    """Log probabilities of levels under mixtures.

    .. math:: p(x) = \\sum_k w_k (\\sigma((x^+ - \\mu_k) / s_k) - \\sigma((x^- - \\mu_k) / s_k))

    Bounds of a level are half a level away; those of the first and the last level are infinite, so the levels sum to 1.

    Args:
        params: `[..., 3 k]`: logits of the weights, means, and logarithms of the scales, with levels from -1 to 1.
        levels: `[...]`, integers from 0 to `top`; broadcasts against the leading axes of `params`.
        top: The last level.

    Returns:
        `[...]`, float32.

    Source: Salimans et al., PixelCNN++, arXiv:1701.05517.
    """
    weights, means, scales = jnp.split(params.astype(jnp.float32), 3, axis=-1)
    sharp, x = jnp.exp(-jnp.clip(scales, -7.0, 3.0)), levels[..., None].astype(jnp.float32)
    middle = 2 * x / top - 1 - means
    above, below = (middle + 1 / top) * sharp, (middle - 1 / top) * sharp
    inside = jnp.log(-jnp.expm1(-2 / top * sharp)) - jax.nn.softplus(-above) - jax.nn.softplus(below)
    ends = jnp.where(x == top, -jax.nn.softplus(below), inside)
    ends = jnp.where(x == 0, -jax.nn.softplus(-above), ends)
    return jax.nn.logsumexp(jax.nn.log_softmax(weights) + ends, axis=-1)
