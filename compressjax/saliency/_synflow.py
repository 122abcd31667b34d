"""SynFlow: prune without data, and never a whole layer at once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Selector, kernels, matches, values, with_values
from compressjax.numerics import top_masks
from compressjax.saliency._contract import Saliency, Scores, wide


def synflow(
    forward: Callable[[Any, Any], Any],
    inputs: Any,
    sparsity: float = 0.0,
    *,
    steps: int = 100,
    select: Selector = kernels,
) -> Saliency:
    """Scores a weight by the flow through it, with all weights positive and an input of ones.

    .. math:: R = 1^\\top f_{|\\theta|}(1), \\qquad s = |\\theta| \\odot \\frac{\\partial R}{\\partial |\\theta|}

    The flow is conserved: in a network of dense layers and ReLU without biases, every layer's scores have the same sum.
    Before the scores are given, `steps - 1` rounds remove the smallest, ranked over all kernels, so that
    `(1 - sparsity)^(k / steps)` of them are left after round `k`; what they removed has score 0. Ranking the result
    over all leaves is round `steps`: `one_shot(synflow(f, x, s), s, "global")`.

    Every kernel is divided by its mean flow into an output before the pass. In a network that is homogeneous in each
    kernel this multiplies all scores by one number, and no depth overflows.

    Costs no data, but `steps` passes forward and backward (one, at sparsity 0), each followed by a ranking of all
    weights; the masks and one gradient are held. Bytes and speed are those of the zeros that it chooses: see
    `one_shot`.

    Args:
        forward: `(params, inputs) -> outputs`; the sum of all outputs is `R`. Normalization layers are to be left out
            of it, or to run with fixed statistics.
        inputs: Pytree of arrays (or of their shapes and dtypes); only their shapes matter. One example suffices.
        sparsity: Fraction of zeros that will be asked for, in [0, 1).
        steps: Rounds, 100 in the paper; 1 scores once.
        select: The leaves that lose weights; others take part as `|theta|`.

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
    if not 0.0 <= sparsity < 1.0 or steps < 1:
        raise ValueError(f"sparsity={sparsity} must lie in [0, 1), and steps={steps} be at least 1")

    def score(params: Any, stats: Any = None) -> Scores:
        del stats
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
        counts = jnp.array([round(size * (1.0 - sparsity) ** (k / steps)) for k in range(steps)])
        masks = {path: jnp.ones_like(x, bool) for path, x in chosen.items()}
        if sparsity:
            masks = jax.lax.fori_loop(1, steps, lambda k, masks: _top(scored(masks), masks, counts[k]), masks)
        return scored(masks)

    return Saliency(score, f"synflow(sparsity={sparsity}, steps={steps})")


def _level(x: jax.Array) -> jax.Array:
    """A positive kernel whose outputs take in one on average."""
    mean = jnp.sum(x) / x.shape[-1]
    return x / jnp.where(mean > 0, mean, 1.0)


def _top(scores: Scores, masks: Scores, count: jax.Array) -> Scores:
    # What is out stays out, even where a live weight carries no flow either.
    return top_masks({path: jnp.where(masks[path], x, -1.0) for path, x in scores.items()}, count)
