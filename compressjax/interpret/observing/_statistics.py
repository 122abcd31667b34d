"""Streaming statistics of the inputs of a product."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Statistics(NamedTuple):
    """Statistics of the rows that are multiplied with a weight; `merge` adds them up.

    Attributes:
        count: Number of rows, float32 scalar.
        total: `[in]`, sum of the rows.
        squares: `[in]`, sum of their squares.
        gram: `[in, in]`, sum of outer products, or None.
        largest: `[in]`, largest absolute value.

    `in` is the size of the summed axes of the weight, row-major: `h * w * in` for a convolution. Stacked layers and
    batch axes of a product (experts) are leading axes of all fields.

    Example:
        >>> of_rows(jnp.ones((4, 2)), gram=False).count.item()
        4.0
    """

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    total: jax.Array
    squares: jax.Array
    gram: jax.Array | None
    largest: jax.Array

    @property
    def absmax(self) -> jax.Array:
        """Largest absolute input, a scalar."""
        return jnp.max(self.largest, axis=-1)

    @property
    def mean(self) -> jax.Array:
        """Mean row, `[in]`."""
        return self.total / jnp.maximum(self.count, 1)[..., None]

    @property
    def norm(self) -> jax.Array:
        """L2 norm of every input over all rows, `[in]`."""
        return jnp.sqrt(self.squares)

    @property
    def second_moment(self) -> jax.Array:
        """Mean outer product, `[in, in]`; only its diagonal, `[in]`, without a Gram matrix."""
        count = jnp.maximum(self.count, 1)[..., None]
        return self.squares / count if self.gram is None else self.gram / count[..., None]


def of_rows(rows: jax.Array, *, gram: bool) -> Statistics:
    """Statistics of the rows `[*batch, n, in]` of one product, in float32, with the batch axes in front."""
    rows = rows.astype(jnp.float32)
    products = "...ni,...nj->...ij"
    return Statistics(
        count=jnp.full(rows.shape[:-2], rows.shape[-2], jnp.float32),
        total=jnp.sum(rows, axis=-2),
        squares=jnp.sum(rows * rows, axis=-2),
        gram=jnp.einsum(products, rows, rows, precision=jax.lax.Precision.HIGHEST) if gram else None,
        largest=jnp.max(jnp.abs(rows), axis=-2, initial=0.0),
    )


def merge(a: Statistics, b: Statistics) -> Statistics:
    """Merges the statistics of two sets of rows.

    Args:
        a: Statistics of some rows.
        b: Statistics of other rows, with the same shapes.

    Returns:
        Statistics of all rows.

    Example:
        >>> one = of_rows(jnp.ones((4, 2)), gram=False)
        >>> merge(one, one).count.item()
        8.0
    """
    return Statistics(
        a.count + b.count,
        a.total + b.total,
        a.squares + b.squares,
        None if a.gram is None or b.gram is None else a.gram + b.gram,
        jnp.maximum(a.largest, b.largest),
    )
