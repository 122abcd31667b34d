"""Features whose order matters to a loss."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int


class Importance(NamedTuple):
    """What permutations cost.

    Attributes:
        mean: `[features]`, mean rise of the loss.
        deviation: `[features]`, standard deviation over repeats.
        rises: `[features, repeats]`.
    """

    mean: jax.Array
    deviation: jax.Array
    rises: jax.Array


def permutation_importance(
    loss: Callable[[jax.Array, Any], Any], x: Any, y: Any, key: jax.Array, *, repeats: int = 5
) -> Importance:  # fmt: skip
    """Returns how much the loss of any function rises when the values of one feature are shuffled among rows.

    .. math:: I_j = \\tfrac1R \\sum_r \\left( L(X^{(j, r)}, y) - L(X, y) \\right)

    Select with `select_by(importance.mean, k)`. One compiled program; memory of one pass.

    Args:
        loss: `(x [n, features], y) -> scalar`, traceable; small is good.
        x: Rows `[n, features]`.
        y: Labels, passed to the loss.
        key: Random key.
        repeats: `R`, at least 1.

    Returns:
        Means, deviations and all rises.

    Raises:
        ValueError: If `x` is no matrix, the loss is no scalar, or `repeats` is below 1.

    Example:
        >>> x = jnp.arange(8.0).reshape(4, 2)
        >>> found = permutation_importance(lambda x, y: jnp.mean((x[:, 0] - y) ** 2), x, x[:, 0], jax.random.key(0))
        >>> bool(found.mean[0] > 0), float(found.mean[1])
        (True, 0.0)

    Source: Breiman, Machine Learning, 2001; Fisher et al., arXiv:1801.01489 (fisher2019).
    """
    who = "permutation_importance"
    rows = jnp.asarray(x, jnp.float32)
    if rows.ndim != 2:
        raise ValueError(f"{who}: x of shape {rows.shape} must be [n, features]")
    if as_int(who, "repeats", repeats) < 1:
        raise ValueError(f"{who}: repeats={repeats} must be at least 1")
    if (shape := jax.eval_shape(loss, rows, y).shape) != ():
        raise ValueError(f"{who}: the loss gives {shape}; it must be a scalar, such as a mean over rows")

    @jax.jit
    def rises(rows: jax.Array, y: Any) -> jax.Array:
        before = loss(rows, y)

        def rise(one: tuple[jax.Array, jax.Array]) -> jax.Array:
            j, own = one
            column = jax.random.permutation(own, jnp.take(rows, j, axis=1))
            return jnp.asarray(loss(rows.at[:, j].set(column), y) - before)

        features = jnp.repeat(jnp.arange(rows.shape[1]), repeats)
        found: jax.Array = jax.lax.map(rise, (features, jax.random.split(key, len(features))))
        return found.reshape(rows.shape[1], repeats)

    found = rises(rows, y)
    return Importance(jnp.mean(found, axis=1), jnp.std(found, axis=1), found)
