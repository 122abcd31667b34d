"""Rounds a matrix input by input and compensates each error in the inputs that are still to come."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.numerics._damped import damped_root
from compressjax.quant._grid import Grid, best_ratio, fit, nearest


class Rule(NamedTuple):
    """Settings of one leaf.

    Attributes:
        grid: The grid.
        group: Inputs per scale that is fitted when they are reached; 0 if all scales are known.
        block: Inputs per deferred update.
        damping: As for `gptq`.
        by_activation: Whether inputs with the largest second moment come first.
    """

    grid: Grid
    group: int
    block: int
    damping: float
    by_activation: bool


class Scales(NamedTuple):
    """Scale and zero point of every entry `[in, out]`; no zero point on a symmetric grid."""

    scale: jax.Array
    zero_point: jax.Array | None


class Solved(NamedTuple):
    """The rounded matrix, its scales, and how far its second moments could be trusted."""

    weights: jax.Array
    scales: Scales
    damping: jax.Array
    failed: jax.Array


def compensate(kernel: jax.Array, hessian: jax.Array, scales: Scales, rule: Rule) -> Solved:
    """Rounds `[in, out]` to the grid; exact zeros stay zero.

    .. math:: \\hat W_{i\\cdot} = Q(W_{i\\cdot}), \\quad
        W_{k\\cdot} \\leftarrow W_{k\\cdot} - \\frac{U_{ik}}{U_{ii}} (W_{i\\cdot} - \\hat W_{i\\cdot}) \\;\\; (k > i)
    """
    inputs = len(kernel)
    order = jnp.argsort(-jnp.diagonal(hessian), stable=True) if rule.by_activation else None
    if order is not None:
        kernel, hessian = kernel[order], hessian[order][:, order]
        scales = jax.tree.map(lambda x: x[order], scales)
    found = damped_root(hessian, rule.damping)
    size = block_size(rule, inputs)
    extra = -inputs % size
    # Padded inputs are zero and unrelated to the rest.
    root = jnp.pad(found.root.astype(kernel.dtype), ((0, extra), (0, extra)))
    root = root + jnp.diag(jnp.arange(inputs + extra) >= inputs).astype(root.dtype)
    kernel, scales = jax.tree.map(lambda x: jnp.pad(x, ((0, extra), (0, 0))), (kernel, scales))
    scales = scales._replace(scale=jnp.where(scales.scale > 0, scales.scale, 1.0))
    kept = kernel != 0
    done = jax.lax.fori_loop(
        0, (inputs + extra) // size, lambda b, carry: _block(rule, b * size, size, root, kept, *carry), (kernel, scales)
    )
    weights, scales = jax.tree.map(lambda x: x[:inputs], done)
    if order is not None:
        weights, scales = jax.tree.map(lambda x: x[jnp.argsort(order)], (weights, scales))
    return Solved(weights, scales, found.damping, found.failed)


def block_size(rule: Rule, inputs: int) -> int:
    """At most the inputs, and a multiple of the group, so that no group lies in two blocks."""
    size = max(min(rule.block, inputs), 1)
    return max(size // rule.group, 1) * rule.group if rule.group else size


def _block(
    rule: Rule, start: jax.Array, size: int, root: jax.Array, kept: jax.Array, kernel: jax.Array, scales: Scales
) -> tuple[jax.Array, Scales]:
    """Rounds the inputs of one block and compensates their errors in all later inputs."""
    parts = (kernel, scales, kept, root)
    panel, own, kept, rows = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, size), parts)
    square = jax.lax.dynamic_slice_in_dim(rows, start, size, axis=1)

    def step(i: jax.Array, carry: tuple[jax.Array, Scales, jax.Array]) -> tuple[jax.Array, Scales, jax.Array]:
        panel, own, errors = carry
        if rule.group:
            own = jax.lax.cond(i % rule.group == 0, lambda: _refit(rule, panel, kept, own, i), lambda: own)
        at = jax.tree.map(lambda x: x[i][None], own)
        rounded = jnp.where(kept[i], nearest(panel[i][None], at.scale, at.zero_point, rule.grid)[0], 0.0)
        error = (panel[i] - rounded) / square[i, i]
        # Row i of the root is zero before i, so finished inputs do not change.
        return (panel - jnp.outer(square[i], error)).at[i].set(rounded), own, errors.at[i].set(error)

    panel, own, errors = jax.lax.fori_loop(0, size, step, (panel, own, jnp.zeros_like(panel)))
    later = jnp.arange(root.shape[0]) >= start + size
    carried = jnp.matmul(jnp.where(later[None], rows, 0.0).T, errors, precision=jax.lax.Precision.HIGHEST)
    kernel = jax.lax.dynamic_update_slice_in_dim(kernel, panel, start, 0) - carried
    return kernel, jax.tree.map(lambda x, y: jax.lax.dynamic_update_slice_in_dim(x, y, start, 0), scales, own)


def _refit(rule: Rule, panel: jax.Array, kept: jax.Array, own: Scales, i: jax.Array) -> Scales:
    """Scales of the group that starts at input i, from the updated weights."""
    part, used = (jax.lax.dynamic_slice_in_dim(x, i, rule.group) for x in (panel, kept))
    part, grid = jnp.where(used, part, 0.0), rule.grid._replace(granularity="channel", axis=(1,))
    found = Scales(*fit(part, (1, part.shape[1]), grid, best_ratio("", part, grid)))
    return jax.tree.map(
        lambda x, y: jax.lax.dynamic_update_slice_in_dim(x, jnp.broadcast_to(y, part.shape), i, 0), own, found
    )
