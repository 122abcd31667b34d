"""Condition numbers of the statistics behind second-order methods."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.numerics._second_order import inverse_root


class Condition(NamedTuple):
    """Conditioning of the second moments of one leaf's inputs, one entry per layer of a stack.

    Attributes:
        number: `[layers]`, condition number; infinite if singular.
        damped: `[layers]`, condition number after damping.
        rank: `[layers]`, number of eigenvalues above `n eps` times the largest.
        fallback: `[layers]`, whether `sparsegpt` has to clip eigenvalues.
    """

    number: jax.Array
    damped: jax.Array
    rank: jax.Array
    fallback: jax.Array


def hessian_condition(stats: Mapping[str, Any], damping: float = 0.01) -> dict[str, Condition]:
    """Returns condition numbers of the inputs' second moments, before and after damping.

    .. math:: \\kappa(H) = \\lambda_{max}(H) / \\lambda_{min}(H)

    Args:
        stats: Statistics by path, with Gram matrices.
        damping: As for `sparsegpt`.

    Returns:
        `{path: Condition}` of the leaves that have a Gram matrix.

    Example:
        >>> from compressjax.interpret import observe
        >>> _, stats = observe(lambda p, x: x @ p["kernel"])({"kernel": jnp.ones((2, 1))}, jnp.array([[1.0, 1.0]]))
        >>> found = hessian_condition(stats)["kernel"]
        >>> found.rank.tolist(), round(found.damped[0].item())
        ([1], 201)

    Source: the damping of Frantar and Alistarh, arXiv:2301.00774 (frantar2023).
    """
    found = {}
    for path, s in stats.items():
        if s.gram is not None:
            size = s.gram.shape[-1]
            found[path] = jax.lax.map(lambda h: _condition(h, damping), s.gram.reshape(-1, size, size))
    return found


def _condition(hessian: jax.Array, damping: float) -> Condition:
    eigenvalues = jnp.linalg.eigvalsh(hessian)
    noise = len(hessian) * float(jnp.finfo(hessian.dtype).eps) * eigenvalues[-1]
    extra = damping * jnp.mean(jnp.diagonal(hessian))
    least = jnp.where(eigenvalues[0] > noise, eigenvalues[0], 0.0)
    return Condition(
        jnp.where(least > 0, eigenvalues[-1] / jnp.where(least > 0, least, 1.0), jnp.inf),
        (eigenvalues[-1] + extra) / (least + extra),
        jnp.sum(eigenvalues > noise),
        inverse_root(hessian, damping).fallback,
    )
