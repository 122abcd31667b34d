"""Descriptions of operations on nodes, and the result that asks for a dense operand."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Dense(NamedTuple):
    """Result of an operation that a node cannot run, or not faster than its dense array."""

    reason: str


class Window(NamedTuple):
    """The part of one axis that is kept.

    Attributes:
        start: First index: an int, or an integer scalar known only at run time.
        size: Number of entries.
        step: Distance between entries; 1 when the start is not an int.
    """

    start: Any
    size: int
    step: int = 1


@dataclasses.dataclass(frozen=True)
class Product:
    """The axes that a product of `x` and a node sums over and shares; result axes are (batch, x's, the node's).

    Attributes:
        x_sum: Axes of x to sum over.
        x_batch: Batch axes of x.
        sum: Axes of the node to sum over, in the same order.
        batch: Batch axes of the node.
        precision: As for `jax.lax.dot_general`.
        dtype: Result dtype, or None.

    Example:
        >>> Product((1,), (), (0,), ()).numbers
        (((1,), (0,)), ((), ()))
    """

    x_sum: tuple[int, ...]
    x_batch: tuple[int, ...]
    sum: tuple[int, ...]
    batch: tuple[int, ...]
    precision: Any = None
    dtype: Any = None

    @property
    def numbers(self) -> Any:
        """Dimension numbers for `dot_general`."""
        return (self.x_sum, self.sum), (self.x_batch, self.batch)

    def free(self, ndim: int) -> tuple[int, ...]:
        """Axes of a node of `ndim` axes that appear in the result."""
        return tuple(a for a in range(ndim) if a not in self.sum and a not in self.batch)

    def x_free(self, ndim: int) -> tuple[int, ...]:
        """Axes of an x of `ndim` axes that appear in the result and are not batch axes."""
        return tuple(a for a in range(ndim) if a not in self.x_sum and a not in self.x_batch)

    def dense(self, x: jax.Array, w: jax.Array) -> jax.Array:
        """The product with a dense operand."""
        return jax.lax.dot_general(x, w, self.numbers, self.precision, self.dtype)


@dataclasses.dataclass(frozen=True)
class Convolution:
    """The parameters of `jax.lax.conv_general_dilated`, with a node as the kernel; `dtype` is that of the result.

    Example:
        >>> numbers = jax.lax.conv_dimension_numbers((1, 1, 3), (1, 1, 3), None)
        >>> one = Convolution((1,), ((0, 0),), (1,), (1,), numbers)
        >>> one.dense(jax.numpy.ones((1, 1, 3)), jax.numpy.ones((1, 1, 3))).item()
        3.0
    """

    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    dimension_numbers: Any
    feature_group_count: int = 1
    batch_group_count: int = 1
    precision: Any = None
    dtype: Any = None

    def dense(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """The convolution with a dense kernel."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return jax.lax.conv_general_dilated(x, kernel, preferred_element_type=given.pop("dtype"), **given)


@dataclasses.dataclass(frozen=True, eq=False)
class Ragged:
    """A product per expert: rows of x come sorted by expert, and a node `[experts, in, out]` has a matrix for each.

    Attributes:
        sizes: `[experts]`, the number of rows of each expert; rows after the last one give zeros.
        precision: As for `jax.lax.ragged_dot`.
        dtype: Result dtype, or None.

    Example:
        >>> import jax.numpy as jnp
        >>> Ragged(jnp.array([1, 2])).dense(jnp.ones((3, 4)), jnp.ones((2, 4, 5))).shape
        (3, 5)
    """

    sizes: jax.Array
    precision: Any = None
    dtype: Any = None

    def dense(self, x: jax.Array, w: jax.Array) -> jax.Array:
        """The product `[rows, out]` of x `[rows, in]` with dense matrices."""
        return jax.lax.ragged_dot(x, w, self.sizes, self.precision, self.dtype)

    def of_rows(self, values: jax.Array, rows: int) -> jax.Array:
        """Values `[experts, ...]` repeated for the rows of each expert: `[rows, ...]`."""
        ends = jnp.cumsum(self.sizes)
        expert = jnp.searchsorted(ends, jnp.arange(rows, dtype=ends.dtype), side="right")
        return jnp.take(values, expert, axis=0, mode="clip")
