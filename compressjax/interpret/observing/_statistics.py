"""Streaming statistics of the inputs of a product."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._layout import Layout
from compressjax.numerics._histogram import count_magnitudes


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Statistics:
    """Statistics of the rows that are multiplied with a weight; `merge` adds them up.

    Attributes:
        count: Number of rows, float32 scalar.
        total: `[in]`, sum of the rows.
        squares: `[in]`, sum of their squares.
        gram: `[in, in]`, sum of outer products, or None.
        largest: `[in]`, largest absolute value.
        layout: Which axes of the weight these rows belong to: `in` is the size of `layout.inputs`, row-major, such as
            `h * w * in` for a convolution; `layout.batch` (stacked layers, experts) are leading axes of all fields.
            Static; without axes where the product sums over a part of an axis, and None if made by hand.
        histogram: `[2048]`, how many entries have a magnitude in each bin of `bin_centers`, or None. A convolution
            counts every entry of its input once.

    Example:
        >>> of_rows(jnp.ones((4, 2)), gram=False).count.item()
        4.0
    """

    count: jax.Array
    total: jax.Array
    squares: jax.Array
    gram: jax.Array | None
    largest: jax.Array
    layout: Layout | None = dataclasses.field(default=None, metadata={"static": True})
    histogram: jax.Array | None = None

    def replace(self, **changes: Any) -> "Statistics":
        """The statistics with some fields replaced."""
        return dataclasses.replace(self, **changes)

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


def of_rows(rows: jax.Array, *, gram: bool, histogram: bool = False) -> Statistics:
    """Statistics of the rows `[*batch, n, in]` of one product, in float32, with the batch axes in front."""
    rows = rows.astype(jnp.float32)
    return Statistics(
        count=jnp.full(rows.shape[:-2], rows.shape[-2], jnp.float32),
        total=jnp.sum(rows, axis=-2),
        squares=jnp.sum(rows * rows, axis=-2),
        gram=outer_products(rows) if gram else None,
        largest=jnp.max(jnp.abs(rows), axis=-2, initial=0.0),
        histogram=count_magnitudes(rows, rows.ndim - 2) if histogram else None,
    )


def refuse_empty(path: str, shape: tuple[int, ...]) -> None:
    """Raises if the inputs `[*batch, n, in]` of a weight have no rows."""
    if not shape[-2]:
        raise ValueError(f"observe: {path!r} has inputs without rows, {shape}; give data with examples")


def outer_products(rows: jax.Array) -> jax.Array:
    """The sum of the outer products of rows with themselves, `[*batch, in, in]` from `[*batch, n, in]`."""
    return jnp.einsum("...ni,...nj->...ij", rows, rows, precision=jax.lax.Precision.HIGHEST)


def merge(a: Any, b: Any) -> Any:
    """Merges the statistics of two sets of rows: those of one weight, or all that `observe` returned.

    Args:
        a: Statistics of some rows, or `{path: statistics}`.
        b: Statistics of other rows, with the same shapes; or a mapping, which may have other paths.

    Returns:
        Statistics of all rows, or `{path: statistics}` of all paths.

    Raises:
        ValueError: If the statistics belong to other axes of the weight.

    Example:
        >>> one = of_rows(jnp.ones((4, 2)), gram=False)
        >>> merge(one, one).count.item()
        8.0
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return {path: merge(a[path], b[path]) if path in a and path in b else a.get(path, b.get(path))
                for path in dict.fromkeys((*a, *b))}  # fmt: skip
    if not (isinstance(a, Statistics) and isinstance(b, Statistics)):
        raise ValueError(f"merge: got {type(a).__name__} and {type(b).__name__}; pass two statistics, or two mappings, "
                         "the second part of what observe returns")  # fmt: skip
    if a.layout != b.layout:
        raise ValueError(f"merge: the statistics have layouts {a.layout} and {b.layout}; observe the same function")
    return Statistics(
        a.count + b.count,
        a.total + b.total,
        a.squares + b.squares,
        None if a.gram is None or b.gram is None else a.gram + b.gram,
        jnp.maximum(a.largest, b.largest),
        a.layout,
        None if a.histogram is None or b.histogram is None else a.histogram + b.histogram,
    )
