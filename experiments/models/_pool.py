"""Max-pooling by 2 x 2."""

import jax


def halve(x: jax.Array) -> jax.Array:
    """The largest of every 2 x 2 values, `[batch, height, width, channels]`; an odd last row or column is left out.

    The values of `flax.linen.max_pool`, whose gradient takes more than half of a step of training on a CPU.
    """
    batch, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))
