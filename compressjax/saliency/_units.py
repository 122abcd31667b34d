"""Scores of units (channels, heads, neurons) from the scores of their weights."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

REDUCTIONS = ("sum", "mean", "max", "norm")


def unit_scores(members: Sequence[tuple[jax.Array, int]], reduce: str = "sum") -> jax.Array:
    """One score a unit, for weights that are cut together.

    .. math:: S_u = \\mathrm{reduce}_{m} \\; \\mathrm{reduce}_{i \\in m, u} \\; s_i

    A channel owns a slice of every coupled leaf: a column of one kernel, the rows that read it in the next, an entry of
    a bias. Of a saliency that says nothing about a leaf, leave that leaf out.

    Args:
        members: Scores of each coupled leaf and the axis along which its units lie; all have equally many there.
        reduce: `"sum"`, `"mean"` (over all weights of a unit, whichever leaf they are in), `"max"`, or `"norm"`
            (Euclidean).

    Returns:
        `[units]`, at least float32.

    Raises:
        ValueError: If there are no members, their numbers of units differ, or the reduction is unknown.

    Example:
        >>> kernel, bias = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([10.0, 20.0])
        >>> unit_scores([(kernel, 1), (bias, 0)]).tolist()
        [14.0, 26.0]

    Source: group importance of Fang et al., arXiv:2301.12900 (fang2023).
    """
    if reduce not in REDUCTIONS:
        raise ValueError(f"reduce={reduce!r} is unknown; use one of {REDUCTIONS}")
    if not members:
        raise ValueError("a unit without members has no score; use a saliency that scores one of its leaves")
    rows = [jnp.moveaxis(scores, axis, 0).reshape(scores.shape[axis], -1) for scores, axis in members]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"coupled leaves have {[len(row) for row in rows]} units; they are cut together, so all equal")
    dtype = jnp.result_type(jnp.float32, *rows)
    together = jnp.concatenate([row.astype(dtype) for row in rows], axis=1)
    if reduce == "norm":
        return jnp.sqrt(jnp.sum(together * together, axis=1))
    reductions: Mapping = {"sum": jnp.sum, "mean": jnp.mean, "max": jnp.max}
    return reductions[reduce](together, axis=1)
