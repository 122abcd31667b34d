"""Losses and costs of every rank of every leaf, for an exact choice of ranks under a budget."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from compressjax.core import nodes
from compressjax.core._checks import check_finite
from compressjax.core._fit import layouts_in
from compressjax.core._layout import using
from compressjax.core._select import Selector, kernels, matches
from compressjax.core._settings import as_int
from compressjax.core._tree import values
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._aware import gram_of
from compressjax.lowrank._factorize import Axes
from compressjax.lowrank._svd import exact
from compressjax.lowrank._weighted import whitened

DENSE = "dense"


class RankOptions(NamedTuple):
    """Tables for `search.choose`.

    Attributes:
        losses: `{path: {option: squared error}}`; options are `"dense"` and ranks as text.
        costs: `{"bytes" or "multiply_adds": {path: {option: cost}}}`.
    """

    losses: dict[str, dict[str, float]]
    costs: dict[str, dict[str, dict[str, float]]]

    def ranks(self, options: Mapping[str, str]) -> dict[str, int]:
        """`{path: rank}` of the chosen options, without leaves that stay dense, as `svd(rank=)` takes it."""
        return {path: int(option) for path, option in options.items() if option != DENSE}


def rank_options(
    params: Any,
    stats: Mapping[str, Any] | None = None,
    *,
    select: Selector = kernels,
    options: int = 16,
    calls: Mapping[str, int] | None = None,
) -> RankOptions:
    """Measures what every rank of every leaf loses and costs, as `search.choose` reads it.

    .. math:: L_{l, r} = \\sum_{i > r} \\sigma_{l, i}^2, \\qquad C_{l, r} = r\\,(in_l + out_l)

    The choice with the least sum of losses within a budget is then exact. With statistics, singular values are those of
    `svd_llm`, so that the loss is the change of the outputs; else those of the kernels. Losses of leaves are relative
    to their squared norm, because scales of layers say nothing about each other.

    Args:
        params: A tree of arrays.
        stats: Statistics of `observe`, with Gram matrices.
        select: As for `partition`; leaves that have no matrix, and ranks that save nothing, are left out.
        options: Ranks of a leaf, evenly spaced up to the largest that pays, at least 1.
        calls: `{path: rows of its product}`, positions of a convolution for example, which multiply the operations; 1
            by default.

    Returns:
        Losses and costs. Every leaf may stay dense, at a loss of 0.

    Raises:
        ValueError: If nothing is selected or no leaf could shrink, a value is not finite, or statistics lack Gram
            matrices.

    Example:
        >>> from compressjax import search
        >>> import jax.numpy as jnp
        >>> params = {"a": jnp.outer(jnp.arange(8.0), jnp.ones(8)), "b": jnp.eye(8)}
        >>> table = rank_options(params)
        >>> choice = search.choose(table.losses, table.costs, {"bytes": 350})
        >>> table.ranks(choice.options)
        {'a': 1}
    """
    if as_int("rank_options", "options", options) < 1:
        raise ValueError(f"rank_options: options={options} must be at least 1")
    flat = {path: x for path, x in values(params).items() if matches(select, path, x)}
    if not flat:
        raise ValueError(f"rank_options: select={select!r} selects nothing of {sorted(nodes(params))[:8]}; fix it")
    losses, costs = {}, {"bytes": {}, "multiply_adds": {}}  # type: ignore[var-annotated]
    with using(layouts_in(stats)):
        for path, x in flat.items():
            found = _of_leaf(path, x, (stats or {}).get(path) if stats else None, options)
            if found is not None:
                times = as_int("rank_options", f"calls of {path!r}", (calls or {}).get(path, 1))
                losses[path], entries = found
                costs["bytes"][path] = {o: float(n * x.dtype.itemsize) for o, n in entries.items()}
                costs["multiply_adds"][path] = {o: float(n * times) for o, n in entries.items()}
    if not losses:
        raise ValueError(f"rank_options: no rank makes any of {sorted(flat)[:8]} smaller; select larger kernels")
    return RankOptions(losses, costs)


def _of_leaf(path: str, x: Any, stats: Any, count: int) -> tuple[dict[str, float], dict[str, int]] | None:
    """Losses and entries by option; None if the leaf has no matrix, or no rank of it pays."""
    check_finite("rank_options", path, x)
    try:
        axes = Axes().of("rank_options", path, x.shape, stats)
    except UnfitError:
        return None
    shape = tuple(int(np.prod([x.shape[a] for a in part])) for part in axes)
    batch, rows, columns = shape
    most = (rows * columns - 1) // max(rows + columns, 1)
    if most < 1:
        return None
    turned = np.transpose(np.asarray(x, np.float32), axes.order)
    parts = exact(turned, shape) if stats is None else whitened(turned, shape, gram_of("rank_options", path, stats))
    squares = np.sum(np.asarray(parts.values, np.float64) ** 2, axis=0)
    total = max(float(squares.sum()), 1e-300)
    tails = np.append(np.cumsum(squares[::-1])[::-1], 0.0) / total
    ranks = sorted({max(1, round(most * (i + 1) / count)) for i in range(count)})
    losses = {str(r): float(tails[r]) for r in ranks}
    entries = {str(r): batch * r * (rows + columns) for r in ranks}
    return {**losses, DENSE: 0.0}, {**entries, DENSE: batch * rows * columns}
