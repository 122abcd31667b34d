"""SynFlow: pruning without data and without layer collapse."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Selector, kernels, matches, values, with_values
from compressjax.core._settings import as_int, as_number
from compressjax.numerics._counts import Count, exact
from compressjax.numerics._top import top_masks
from compressjax.saliency._contract import Saliency, Scores, from_params, wide


def synflow(
    forward: Callable[[Any, Any], Any],
    inputs: Any,
    sparsity: float = 0.0,
    *,
    steps: int = 100,
    select: Selector = kernels,
) -> Saliency:
    """Scores a weight by the synaptic flow through it, with positive weights and an input of ones.

    .. math:: R = 1^\\top f_{|\\theta|}(1), \\qquad s = |\\theta| \\odot \\frac{\\partial R}{\\partial |\\theta|}

    First, `steps - 1` rounds mask the smallest scores of all kernels, with `(1 - sparsity)^(k / steps)` of the weights
    left after round `k`; masked weights score 0. A global ranking is round `steps`:
    `one_shot(synflow(f, x, s), s, "global")`. Each round takes a forward and a backward pass.

    Every kernel is divided by its mean flow per output. In a network that is homogeneous in each kernel, this scales
    all scores by the same factor, and prevents overflow in deep networks.

    Args:
        forward: `(params, inputs) -> outputs`; the sum of all outputs is `R`. Leave out normalization layers, or run
            them with fixed statistics.
        inputs: Pytree of arrays, or of their shapes and dtypes; only the shapes count. One example is enough.
        sparsity: Final fraction of zeros, in [0, 1).
        steps: Number of rounds, 100 in the paper; 1 scores once.
        select: The leaves to prune; other leaves only count as `|theta|`.

    Returns:
        Saliency of the selected values.

    Raises:
        ValueError: If `sparsity` is outside [0, 1) or `steps` below 1; from `score`, if nothing is selected.

    Example:
        >>> flow = synflow(lambda p, x: x @ p["a"] @ p["b"], jnp.zeros((1, 2)))
        >>> scores = flow.score({"a": jnp.array([[1.0], [-3.0]]), "b": jnp.array([[2.0]])})
        >>> (scores["a"] / scores["b"]).tolist()
        [[0.25], [0.75]]

    Source: Tanaka et al., arXiv:2006.05467 (tanaka2020).
    """
    sparsity, steps = as_number("synflow", "sparsity", sparsity), as_int("synflow", "steps", steps)
    if not 0.0 <= sparsity < 1.0 or steps < 1:
        raise ValueError(f"sparsity={sparsity} must be in [0, 1), and steps={steps} at least 1")

    def score(params: Any) -> Scores:
        flat = {path: jnp.abs(wide(x)) for path, x in values(params).items()}
        chosen = {path: x for path, x in flat.items() if matches(select, path, x)}
        if not chosen:
            raise ValueError(f"synflow: select={select!r} selects nothing; the tree has {sorted(flat)}")
        ones = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), inputs)

        def flow(weights: Scores) -> jax.Array:
            outputs = forward(with_values(params, {**flat, **weights}), ones)
            return sum((jnp.sum(wide(x)) for x in jax.tree.leaves(outputs)), jnp.float32(0))

        def scored(masks: Scores) -> Scores:
            weights = {path: _level(jnp.where(masks[path], x, 0.0)) for path, x in chosen.items()}
            grads = jax.grad(flow)(weights)
            return {path: weights[path] * g for path, g in grads.items()}

        size = sum(x.size for x in chosen.values())
        counts = exact([round(size * (1.0 - sparsity) ** (k / steps)) for k in range(steps)])
        masks = {path: jnp.ones_like(x, bool) for path, x in chosen.items()}
        if sparsity:
            masks = jax.lax.fori_loop(1, steps, lambda k, masks: _top(scored(masks), masks, _at(counts, k)), masks)
        return scored(masks)

    return from_params(f"synflow(sparsity={sparsity}, steps={steps})", score)


def _level(x: jax.Array) -> jax.Array:
    """A nonnegative kernel, scaled to a mean sum of one per output."""
    mean = jnp.sum(x) / x.shape[-1]
    return x / jnp.where(mean > 0, mean, 1.0)


def _at(counts: Count, k: jax.Array) -> Count:
    return Count(counts.high[k], counts.low[k])


def _top(scores: Scores, masks: Scores, count: Count) -> Scores:
    # Keep masked weights masked, even if other weights have no flow either.
    return top_masks({path: jnp.where(masks[path], x, -1.0) for path, x in scores.items()}, count)
