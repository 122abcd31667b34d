"""A matrix product as a value: which axes of which operand it sums over and shares."""

import dataclasses
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class Product:
    """Which axes of `x` and of the node a product sums over and shares; result axes are batch, x's, the node's.

    Attributes:
        x_sum: Axes of x that are summed over.
        x_batch: Batch axes of x.
        sum: Axes of the node that are summed over, in the same order.
        batch: Batch axes of the node.
        precision: As for `jax.lax.dot_general`.
        dtype: Result dtype, or None.

    Example:
        >>> Product((1,), (), (0,), (), None, None).numbers
        (((1,), (0,)), ((), ()))
    """

    x_sum: tuple[int, ...]
    x_batch: tuple[int, ...]
    sum: tuple[int, ...]
    batch: tuple[int, ...]
    precision: Any
    dtype: Any

    @property
    def numbers(self) -> Any:
        """Dimension numbers for `dot_general`."""
        return (self.x_sum, self.sum), (self.x_batch, self.batch)

    def free(self, ndim: int) -> tuple[int, ...]:
        """Axes of a node of `ndim` axes that appear in the result."""
        return tuple(a for a in range(ndim) if a not in self.sum and a not in self.batch)

    def x_free(self, ndim: int) -> tuple[int, ...]:
        """Axes of an x of `ndim` axes that appear in the result without being batch."""
        return tuple(a for a in range(ndim) if a not in self.x_sum and a not in self.x_batch)

    def dense(self, x: jax.Array, w: jax.Array) -> jax.Array:
        """The product on dense operands."""
        return jax.lax.dot_general(x, w, self.numbers, self.precision, self.dtype)
