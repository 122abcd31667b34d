"""Mixtures of examples."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number


def mixup(key: jax.Array, batch: Any, *, alpha: Any = 1.0) -> Any:
    """Blends every example with another of the batch, all arrays of the batch alike.

    .. math:: \\tilde x_i = \\lambda_i x_i + (1 - \\lambda_i)\\, x_{\\pi(i)}, \\quad
        \\lambda_i \\sim Beta(\\alpha, \\alpha)

    A teacher that sees the same mixtures as the student labels inputs between the data: blend the inputs alone, and
    give both the result. Without a teacher, blend inputs and class probabilities.

    Args:
        key: Random key of the step.
        batch: Tree of arrays `[batch, ...]`, floating point; labels as probabilities.
        alpha: Above 0; 1 draws weights evenly, small values change few examples much.

    Returns:
        The same tree, in the same types.

    Raises:
        ValueError: If arrays have different numbers of examples or are integers, or `alpha` is out of range.

    Example:
        >>> x, y = mixup(jax.random.key(0), (jnp.ones((4, 2)), jnp.eye(4)))
        >>> x[0].tolist(), y.sum(axis=1).round(4).tolist()
        ([1.0, 1.0], [1.0, 1.0, 1.0, 1.0])

    Source: Zhang et al., arXiv:1710.09412 (zhang2018mixup); with a teacher, Beyer et al., arXiv:2106.05237 (beyer2022).
    """
    arrays = [jnp.asarray(x) for x in jax.tree.leaves(batch)]
    sizes = {x.shape[:1] for x in arrays}
    if len(sizes) != 1 or () in sizes:
        raise ValueError(
            f"mixup: arrays of {[x.shape for x in arrays]} must all be [batch, ...] over the same examples"
        )
    if whole := [x.dtype for x in arrays if not jnp.issubdtype(x.dtype, jnp.floating)]:
        raise ValueError(f"mixup: arrays of {whole[0]} cannot be blended; give images as floats, labels as "
                         "probabilities (jax.nn.one_hot)")  # fmt: skip
    if not isinstance(alpha, jax.core.Tracer) and not as_number("mixup", "alpha", alpha) > 0:
        raise ValueError(f"mixup: alpha={alpha} must be above 0; 1 draws weights evenly")
    count = arrays[0].shape[0]
    for_weights, for_order = jax.random.split(key)
    own = jax.random.beta(for_weights, alpha, alpha, (count,))
    order = jax.random.permutation(for_order, count)

    def blend(x: Any) -> jax.Array:
        x = jnp.asarray(x)
        share = own.reshape((count,) + (1,) * (x.ndim - 1)).astype(x.dtype)
        return share * x + (1 - share) * x[order]

    return jax.tree.map(blend, batch)
