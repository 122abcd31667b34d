"""The nuclear norm as a penalty in training."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._layout import layout_of
from compressjax.core._select import Selector, kernels, selected


def nuclear_norm(params: Any, *, select: Selector = kernels) -> jax.Array:
    """Returns the sum of all singular values of the kernels, a penalty that lowers ranks.

    .. math:: \\sum_l \\|W_l\\|_* = \\sum_l \\sum_i \\sigma_{l, i}, \\qquad \\partial \\|W\\|_* = U V^T

    The derivative leaves out directions without a singular value, so it is finite everywhere. A gradient step only
    comes near to low rank; `prune.proximal_nuclear` reaches it. A decomposition a step.

    Args:
        params: A tree of arrays and nodes.
        select: Which values, as for `partition`; they follow the layout.

    Returns:
        A scalar, float32.

    Raises:
        ValueError: If nothing is selected.

    Example:
        >>> float(nuclear_norm({"kernel": jnp.diag(jnp.array([3.0, -4.0]))}))
        7.0

    Source: Fazel, Matrix Rank Minimization with Applications, 2002 (fazel2002).
    """
    flat = selected(params, "nuclear_norm", select)
    found = [_sum(layout_of(path, x.shape).matrices(x.astype(jnp.float32))) for path, x in flat.items()]
    return sum(found[1:], found[0])


@jax.custom_jvp
def _sum(matrices: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.svd(matrices, compute_uv=False))


@_sum.defjvp
def _sum_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[jax.Array, jax.Array]:
    left, values, right = jnp.linalg.svd(primals[0], full_matrices=False)
    largest = jnp.max(values, axis=-1, keepdims=True, initial=0.0)
    real = (values > 1e-6 * largest).astype(left.dtype)
    slope = (left * real[..., None, :]) @ right
    return jnp.sum(values), jnp.sum(slope * tangents[0])
