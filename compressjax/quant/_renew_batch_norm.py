"""Statistics of BatchNorm measured anew, after rounding has moved what the norms receive."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number

Train = Callable[[Any, Any, Any], Any]


def renew_batch_norm(
    train: Train, params: Any, batch_stats: Any, batches: Iterable[Any], *, momentum: float = 0.99
) -> Any:
    """Measures the means and variances of all norms again, on a network with compressed weights.

    .. math:: \\mu_l \\leftarrow \\frac{1}{B} \\sum_b \\mu_l(b), \\quad v_l \\leftarrow \\frac{1}{B} \\sum_b v_l(b)

    Rounding moves the mean of every channel, and norms take out the means of before. Deep networks lose most of their
    accuracy by that, and get it back from a few batches without labels. In training mode a norm uses the moments of its
    batch, so all norms are measured in one pass.

    Args:
        train: `(params, batch_stats, batch) -> batch_stats` of the network in training mode: the running averages after
            one batch, as Flax makes them. It is compiled; with `cj.lift`, parameters may hold nodes.
        params: The parameters, with nodes or without.
        batch_stats: The statistics so far; their values do not matter.
        batches: At least one; large ones, since variances within a batch are averaged.
        momentum: That of the norms: the part of the old average that stays, at least 0 and below 1.

    Returns:
        New statistics.

    Raises:
        ValueError: If there is no batch, the momentum is not that of the norms, the network is not in training mode, or
            a statistic is not finite: its leaf is named.

    Example:
        >>> def train(params, stats, x):
        ...     y = x * params
        ...     return {"mean": 0.9 * stats["mean"] + 0.1 * y.mean(), "var": 0.9 * stats["var"] + 0.1 * y.var()}
        >>> old = {"mean": jnp.array(5.0), "var": jnp.array(1.0)}
        >>> new = renew_batch_norm(train, 2.0, old, [jnp.array([1.0, 3.0])], momentum=0.9)
        >>> round(float(new["mean"]), 4), round(float(new["var"]), 4)
        (4.0, 4.0)

    Source: Nagel et al., arXiv:2203.11086 (nagel2022).
    """
    keep = as_number("renew_batch_norm", "momentum", momentum)
    if not 0 <= keep < 1:
        raise ValueError(f"renew_batch_norm: momentum={momentum} must be at least 0 and below 1, that of the norms")
    empty, run = jax.tree.map(jnp.zeros_like, batch_stats), jax.jit(train)
    total, count = empty, 0
    for batch in batches:
        moments = run(params, empty, batch)
        if not count:
            _check(keep, moments, run(params, jax.tree.map(jnp.ones_like, empty), batch))
        total, count = jax.tree.map(jnp.add, total, moments), count + 1
    if not count:
        raise ValueError("renew_batch_norm: there is no batch; give at least one, labels are not needed")
    found = jax.tree.map(lambda x: x / ((1 - keep) * count), total)
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        if not jnp.all(jnp.isfinite(leaf)):
            raise ValueError(f"renew_batch_norm: {jax.tree_util.keystr(path)} is not finite; check batches and weights")
    return found


def _check(momentum: float, zeros: Any, ones: Any) -> None:
    """Statistics of ones leave behind the part of the old average that stays."""
    found = jax.tree_util.tree_leaves_with_path(jax.tree.map(lambda a, b: b - a, zeros, ones))
    for path, kept in found:
        least, most = float(jnp.min(kept)), float(jnp.max(kept))
        if abs(least - 1) < 1e-3 and abs(most - 1) < 1e-3:
            raise ValueError(f"renew_batch_norm: {jax.tree_util.keystr(path)} stays as it is; train must run the "
                             "network in training mode and return the new statistics")  # fmt: skip
        if jnp.all(jnp.isfinite(kept)) and max(abs(least - momentum), abs(most - momentum)) > 1e-2:
            raise ValueError(f"renew_batch_norm: {jax.tree_util.keystr(path)} keeps {least:.3g} of the old average, "
                             f"and momentum={momentum:g}; pass that of the norms")  # fmt: skip
