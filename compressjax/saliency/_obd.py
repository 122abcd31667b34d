"""Optimal Brain Damage: the diagonal of the Hessian."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import values
from compressjax.numerics import with_auto_axes
from compressjax.saliency._contract import Saliency, Scores, wide
from compressjax.saliency._gradients import Loss, hessian_product, mean_over


def obd(loss: Loss, batches: Sequence[Any], *, probes: int = 0, key: jax.Array | None = None) -> Saliency:
    """Scores a weight by the change of the loss to second order, curvature between weights left out.

    .. math:: s = \\tfrac12 h_{qq} w_q^2

    for a network at a minimum. Where the loss curves down, scores are negative. Exact diagonals take one Hessian
    product a weight, for networks of up to some ten thousand weights; `probes` of random signs `z` estimate it as the
    mean of `z * H z`, without bias, and exactly when `H` is diagonal.

    Costs, for every batch, as many Hessian products as there are weights, one after the other; or as there are probes,
    whose products are all held: `probes` times the parameters. Bytes and speed are those of the zeros that it chooses:
    see `one_shot`.

    Args:
        loss: `(params, batch) -> scalar`, twice differentiable.
        batches: List of batches.
        probes: Number of random directions; 0 computes the diagonal exactly.
        key: PRNG key of the directions.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: If there are probes and no key, or fewer than none; from `score`, if there are no batches.

    Example:
        >>> loss = lambda p, x: jnp.sum(x * p["w"] ** 2)
        >>> obd(loss, [jnp.array([1.0, 5.0])]).score({"w": jnp.array([3.0, 1.0])})["w"].tolist()
        [9.0, 5.0]

    Source: LeCun, Denker and Solla, Optimal Brain Damage, 1990 (lecun1990).
    """
    if probes < 0 or (probes and key is None):
        raise ValueError(f"probes={probes}, key={key}: random directions need a key, and 0 of them none")

    def score(params: Any, stats: Any = None) -> Scores:
        del stats
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

    return Saliency(score, f"obd(probes={probes})")
