"""Sensitivity of the loss to pruning a single leaf: measured, and estimated from gradients."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Selector, kernels, matches, values, with_values
from compressjax.measure._ranks import rank_correlation
from compressjax.numerics._top import top_mask

Loss = Callable[[Any, Any], jax.Array]


class Sensitivity(NamedTuple):
    """Loss against sparsity, per leaf.

    Attributes:
        sparsities: Fractions of zeros.
        base: Loss of the unpruned parameters.
        losses: `{path: [sparsities]}`, the loss with only that leaf pruned.
        sizes: `{path: number of entries}`.
    """

    sparsities: tuple[float, ...]
    base: float
    losses: dict[str, np.ndarray]
    sizes: dict[str, int]


class Agreement(NamedTuple):
    """Rank correlation of estimated with true sensitivities.

    Attributes:
        overall: Correlation over all leaves and sparsities.
        leaves: Correlation over the leaves, at each sparsity.
    """

    overall: float
    leaves: tuple[float, ...]


def sensitivity(
    loss: Loss,
    params: Any,
    batches: Sequence[Any],
    sparsities: Sequence[float] = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98),
    *,
    scores: Mapping[str, jax.Array] | None = None,
    select: Selector = kernels,
) -> Sensitivity:
    """Measures the loss with each leaf pruned on its own, at each sparsity.

    .. math:: L_l(s) = L(\\dots, M_l(s) \\odot W_l, \\dots)

    One compiled program runs `leaves * sparsities * batches` times. `prune.distributions.by_sensitivity` turns the
    curves into a distribution.

    Args:
        loss: `(params, batch) -> scalar`, the mean over the batch.
        params: A tree of arrays and nodes.
        batches: List of batches of equal weight.
        sparsities: Fractions of zeros, in [0, 1).
        scores: `{path: scores}` of a saliency; magnitudes by default.
        select: The leaves to prune.

    Returns:
        The curves.

    Raises:
        ValueError: If nothing is selected, there are no batches, a sparsity is outside [0, 1), or the loss of the
            unpruned parameters is not finite.

    Example:
        >>> loss = lambda p, x: jnp.mean((x @ p["a"] * p["b"][0, 0] - 3.0) ** 2)
        >>> params = {"a": jnp.array([[1.0], [2.0]]), "b": jnp.ones((1, 1))}
        >>> sensitivity(loss, params, [jnp.ones((1, 2))], (0.5,)).losses["a"].tolist()
        [1.0]

    Source: Han et al., arXiv:1506.02626 (han2015).
    """
    flat, ranked = _chosen(params, batches, sparsities, scores, select)

    @jax.jit
    def evaluate(masks: dict[str, jax.Array]) -> jax.Array:
        masked = {path: jnp.where(masks[path], x, jnp.zeros((), x.dtype)) for path, x in flat.items()}
        return jnp.mean(jnp.stack([loss(with_values(params, masked), batch) for batch in batches]))

    whole = {path: jnp.ones(x.shape, bool) for path, x in flat.items()}
    kept = jax.jit(top_mask)
    losses = {
        path: np.array([float(evaluate({**whole, path: kept(ranked[path], _count(x, s))})) for s in sparsities])
        for path, x in flat.items()
    }
    sizes = {path: x.size for path, x in flat.items()}
    return Sensitivity(tuple(sparsities), _finite(float(evaluate(whole))), losses, sizes)


def estimated_sensitivity(
    loss: Loss,
    params: Any,
    batches: Sequence[Any],
    sparsities: Sequence[float] = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98),
    *,
    scores: Mapping[str, jax.Array] | None = None,
    select: Selector = kernels,
) -> Sensitivity:
    """Estimates the curves of `sensitivity` from one backward pass over the examples.

    .. math:: \\hat L_l(s) = L - \\overline{p} + \\tfrac12 \\overline{p^2}, \\qquad
        p_n = \\sum_{q \\in Q_l(s)} w_q \\, g_{nq}

    This is a second-order expansion of the loss along the removed weights `Q_l(s)`, with the empirical Fisher matrix as
    the Hessian. `agreement` measures how well it ranks leaves.

    Args:
        loss: `(params, batch) -> scalar`, the mean over the batch; called with batches of one example.
        params: A tree of arrays and nodes.
        batches: List of batches, pytrees of arrays `[examples, ...]`.
        sparsities: Fractions of zeros, in [0, 1).
        scores: `{path: scores}` of a saliency; magnitudes by default.
        select: The leaves to prune.

    Returns:
        The curves; `base` is the true loss.

    Raises:
        ValueError: As for `sensitivity`.

    Example:
        >>> loss = lambda p, x: jnp.mean(x @ p["a"])
        >>> params = {"a": jnp.array([[1.0], [2.0]])}
        >>> estimated_sensitivity(loss, params, [jnp.ones((1, 2))], (0.5,)).losses["a"].tolist()
        [2.5]

    Source: the second-order expansion of LeCun et al., 1990 (lecun1990), with the Fisher matrix of Theis et al.,
    arXiv:1801.05787 (theis2018).
    """
    flat, ranked = _chosen(params, batches, sparsities, scores, select)
    counts = {path: jnp.array([x.size - _count(x, s) for s in sparsities]) for path, x in flat.items()}
    # Sort ascending: the weights removed at each sparsity are then a prefix, and one cumulative sum gives them all.
    order = {path: jnp.argsort(ranked[path].ravel(), stable=True) for path in flat}

    def removed(grads: dict[str, jax.Array]) -> dict[str, jax.Array]:
        found = {}
        for path, g in grads.items():
            products = (g.astype(jnp.float32) * flat[path].astype(jnp.float32)).ravel()[order[path]]
            found[path] = jnp.concatenate([jnp.zeros(1), jnp.cumsum(products)])[counts[path]]
        return found

    @jax.jit
    def sums(batch: Any) -> tuple[jax.Array, Any, Any]:
        def one(example: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
            single = jax.tree.map(lambda x: x[None], example)
            value, grads = jax.value_and_grad(lambda flat: loss(with_values(params, flat), single))(flat)
            return value, removed(grads)

        value, p = jax.vmap(one)(batch)
        return jnp.sum(value), jax.tree.map(lambda x: jnp.sum(x, 0), p), jax.tree.map(lambda x: jnp.sum(x * x, 0), p)

    parts = [sums(batch) for batch in batches]
    total, first, second = jax.tree.map(lambda *x: sum(np.asarray(y, np.float64) for y in x), *parts)
    n = sum(jax.tree.leaves(batch)[0].shape[0] for batch in batches)
    losses = {path: (total - first[path] + second[path] / 2) / n for path in flat}
    return Sensitivity(tuple(sparsities), _finite(float(total / n)), losses, {path: x.size for path, x in flat.items()})


def agreement(estimated: Sensitivity, true: Sensitivity) -> Agreement:
    """Returns the rank correlation of two sets of curves over the same leaves and sparsities.

    Args:
        estimated: Curves, for example from `estimated_sensitivity`.
        true: Curves, for example from `sensitivity`.

    Returns:
        Spearman's coefficients.

    Raises:
        ValueError: If the leaves or the sparsities differ.

    Example:
        >>> one = Sensitivity((0.5,), 0.0, {"a": np.array([1.0]), "b": np.array([2.0])}, {"a": 1, "b": 1})
        >>> agreement(one, one).overall
        1.0
    """
    if estimated.sparsities != true.sparsities or set(estimated.losses) != set(true.losses):
        raise ValueError(
            f"curves of {sorted(estimated.losses)} at {estimated.sparsities} cannot be compared with curves of "
            f"{sorted(true.losses)} at {true.sparsities}"
        )
    a, b = (np.stack([curves.losses[path] for path in sorted(true.losses)]) for curves in (estimated, true))
    return Agreement(rank_correlation(a.ravel(), b.ravel()), tuple(rank_correlation(x, y) for x, y in zip(a.T, b.T)))


def _finite(base: float) -> float:
    if not math.isfinite(base):
        raise ValueError(f"sensitivity: the loss of the unpruned parameters is {base}; fix the training first")
    return base


def _count(x: jax.Array, sparsity: float) -> int:
    return x.size - round(sparsity * x.size)


def _chosen(
    params: Any, batches: Sequence[Any], sparsities: Sequence[float], scores: Any, select: Selector
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    flat = {path: x for path, x in values(params).items() if matches(select, path, x)}
    if not flat:
        raise ValueError(f"sensitivity: select={select!r} selects nothing; the tree has {sorted(values(params))}")
    if not batches or not all(0 <= s < 1 for s in sparsities):
        raise ValueError(f"sensitivity needs batches, got {len(batches)}, and sparsities={sparsities} in [0, 1)")
    missing = sorted(set(flat) - set(scores)) if scores is not None else []
    if missing:
        raise ValueError(f"there are no scores for {missing}; restrict select= to the scored leaves")
    return flat, {path: jnp.abs(x) if scores is None else scores[path] for path, x in flat.items()}
