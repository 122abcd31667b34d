"""Optimal Brain Damage: the diagonal of the Hessian."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import values
from compressjax.numerics import with_auto_axes
from compressjax.saliency._contract import Saliency, Scores, from_params, wide
from compressjax.saliency._gradients import Loss, hessian_product, mean_over


def obd(loss: Loss, batches: Sequence[Any], *, probes: int = 0, key: jax.Array | None = None) -> Saliency:
    """Scores a weight by the second-order change of the loss after its removal, from the diagonal of the Hessian.

    .. math:: s = \\tfrac12 h_{qq} w_q^2

    for a network at a minimum. Scores are negative where the curvature is negative.

    Args:
        loss: `(params, batch) -> scalar`, twice differentiable.
        batches: List of batches.
        probes: Number of random sign vectors `z`, whose mean of `z * H z` estimates the diagonal without bias; they
            take memory for `probes` times the parameters. 0 computes the diagonal exactly, with one Hessian product per
            weight and batch, for up to about ten thousand weights.
        key: PRNG key of the probes.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: If there are probes without a key, or `probes` is negative; from `score`, if there are no batches.

    Example:
        >>> loss = lambda p, x: jnp.sum(x * p["w"] ** 2)
        >>> obd(loss, [jnp.array([1.0, 5.0])]).score({"w": jnp.array([3.0, 1.0])})["w"].tolist()
        [9.0, 5.0]

    Source: LeCun, Denker and Solla, Optimal Brain Damage, 1990 (lecun1990).
    """
    if probes < 0 or (probes and key is None):
        raise ValueError(f"probes={probes}, key={key}: give at least 0 probes, and a key if there are any")

    def score(params: Any) -> Scores:
        flat = {path: wide(x) for path, x in values(params).items()}
        size = sum(x.size for x in flat.values())

        def from_vector(vector: jax.Array) -> Scores:
            ends = list(itertools.accumulate(x.size for x in flat.values()))
            parts = zip(flat.items(), jnp.split(vector, ends[:-1]), strict=True)
            return {path: part.reshape(x.shape).astype(x.dtype) for (path, x), part in parts}

        def products(batch: Any, direction: Scores) -> Scores:
            found = hessian_product(loss, params, batch, direction)
            return {path: direction[path] * found[path] for path in flat}

        def exact(batch: Any) -> Scores:
            def entry(i: jax.Array) -> jax.Array:
                unit = with_auto_axes(lambda i: from_vector(jnp.arange(size) == i), flat)(i)
                return sum((jnp.sum(x) for x in products(batch, unit).values()), jnp.zeros(()))

            return with_auto_axes(from_vector, flat)(jax.lax.map(entry, jnp.arange(size)))

        def estimate(batch: Any) -> Scores:
            def probe(key: jax.Array) -> Scores:
                signs = with_auto_axes(lambda key: from_vector(jax.random.rademacher(key, (size,))), flat)(key)
                return products(batch, signs)

            found = jax.lax.map(probe, jax.random.split(jnp.asarray(key), probes))
            return {path: jnp.mean(x, axis=0) for path, x in found.items()}

        diagonal = mean_over(batches, estimate if probes else exact, "obd")
        return {path: diagonal[path] * x * x / 2 for path, x in flat.items()}

    return from_params(f"obd(probes={probes})", score)
