"""Singular value decompositions weighed by the Fisher information of the rows."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression
from compressjax.core._select import selected
from compressjax.core._tree import whole
from compressjax.core._unfit import each
from compressjax.lowrank._factorize import Axes, Parts, factorization
from compressjax.lowrank._rule import Rank, make_rule
from compressjax.lowrank._weighted import by_rows
from compressjax.saliency._gradients import Loss, squared_gradients


def fisher_svd(
    loss: Loss,
    batches: Sequence[Any],
    *,
    rank: Rank | None = None,
    energy: float | None = None,
    budget: float | None = None,
    always: bool = False,
) -> Compression:
    """Factorizes kernels with rows weighed by their Fisher information, so that what the loss needs is kept.

    .. math:: S W = U \\Sigma V^T, \\quad W \\approx (S^{-1} U_r \\Sigma_r^{1/2})(\\Sigma_r^{1/2} V_r^T), \\quad
        S = \\mathrm{diag}\\Big(\\sum_n \\sum_o \\big(\\partial \\ell_n / \\partial W_{io}\\big)^2\\Big)^{1/2}

    A weight for every entry has no solution in closed form, so one row has one weight. The gradients are taken when the
    method starts, of every example, as for `saliency.fisher`. Bytes and speed are those of `svd`.

    Args:
        loss: `(params, batch) -> scalar`, the mean over the examples; called with batches of one example.
        batches: List of batches, pytrees of arrays `[examples, ...]`.
        rank: As for `svd`.
        energy: As for `svd`, of the weighted matrix.
        budget: As for `svd`.
        always: As for `svd`.

    Returns:
        Compression whose nodes are `LowRank`.

    Raises:
        ValueError: As for `svd`; from `init`, if there are no batches.

    Example:
        >>> from compressjax.core import compress
        >>> loss = lambda p, x: jnp.mean((x @ p["kernel"] - 1) ** 2)
        >>> rows = jnp.array([[0.1, 0.0, 0.0, 3.0]])
        >>> small = compress({"kernel": jnp.eye(4)}, {".*": fisher_svd(loss, [rows], rank=1)})["kernel"]
        >>> small.materialize().round(2)[3].tolist()
        [0.0, 0.0, 0.0, 1.0]

    Source: Hsu et al., arXiv:2207.00112 (hsu2022).
    """
    rule, axes = make_rule("fisher_svd", rank, energy, budget), Axes()

    def decompose(path: str, x: Any, shape: tuple[int, ...], stats: Any, rank: int | None) -> Parts:
        del path, rank
        return by_rows(x, shape, stats)

    base = factorization(rule, decompose, axes, always=always)

    def init(params: Any) -> dict[str, jax.Array]:
        base.init(params)
        chosen = selected(params, base.name)
        total = squared_gradients(loss, whole(params), batches, "fisher_svd")
        return each(base.name, chosen, lambda path: jnp.sqrt(rows(path, total[path])))

    def rows(path: str, x: jax.Array) -> jax.Array:
        return jnp.sum(axes.of("fisher_svd", path, x.shape).matrices(x), axis=-1)

    return base._replace(init=init, after_step=lambda params, state, stats=None: (params, state))
