"""Sums of Kronecker products."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import dense, meta, node, value
from compressjax.tensors._matrix import MatrixNode


@node
class Kronecker(MatrixNode):
    """A sum of Kronecker products of small matrices.

    .. math:: W = \\sum_k A_k \\otimes B_k, \\qquad W_{(a c), (b d)} = \\sum_k A_{kab} B_{kcd}

    A product takes two small ones per term.

    Attributes:
        left: `[*batch, k, a, b]`, array or node.
        right: `[*batch, k, c, d]`, array or node.
        inputs: Sizes of the input axes of the tensor; their product is `a c`.
        outputs: Sizes of the output axes; their product is `b d`.

    Example:
        >>> Kronecker(jnp.ones((1, 4, 2)), jnp.ones((1, 7, 5)), (28,), (10,)).shape
        (28, 10)

    Source: Van Loan and Pitsianis, Approximation with Kronecker Products, 1993 (vanloan1993).
    """

    left: Any = value()
    right: Any = value()
    inputs: tuple[int, ...] = meta()
    outputs: tuple[int, ...] = meta()

    def misfit(self) -> str:
        """Both factors have the same terms, and their sizes multiply to those of the tensor."""
        left, right = tuple(self.left.shape), tuple(self.right.shape)
        alike = len(left) == len(right) > 2 and left[:-2] == right[:-2]
        sides = math.prod(self.inputs), math.prod(self.outputs)
        if alike and (left[-2] * right[-2], left[-1] * right[-1]) == sides:
            return ""
        return f"left has the shape {left}, right {right}, the inputs {self.inputs}, the outputs {self.outputs}"

    def describe(self) -> str:
        """Number of terms, and the sizes of the factors."""
        (a, b), (c, d) = self.left.shape[-2:], self.right.shape[-2:]
        return f"{self.left.shape[-3]} of {a}x{b} and {c}x{d}"

    def _fields(self) -> tuple[Any, ...]:
        return self.left, self.right

    def _made(self, fields: tuple[Any, ...], inputs: tuple[int, ...], outputs: tuple[int, ...]) -> "Kronecker":
        return Kronecker(fields[0], fields[1], tuple(inputs), tuple(outputs))

    def _lead(self) -> tuple[int, ...]:
        return tuple(self.left.shape[:-3])

    def _turned(self) -> tuple[Any, ...]:
        return tuple(jnp.swapaxes(dense(part), -2, -1) for part in self._fields())

    def _matrix(self) -> jax.Array:
        left, right = dense(self.left), dense(self.right)
        (a, b), (c, d) = left.shape[-2:], right.shape[-2:]
        both = jnp.einsum("...kab,...kcd->...acbd", left, right, precision=jax.lax.Precision.HIGHEST)
        return both.reshape(*self._lead(), a * c, b * d)

    def _times(self, x: jax.Array, precision: Any) -> jax.Array:
        left, right = dense(self.left), dense(self.right)
        (_, a, b), (_, c, d) = left.shape, right.shape
        rows = x.reshape(*x.shape[:-1], a, c)
        if a * b * c + b * c * d <= a * c * d + a * b * d:
            half = jnp.einsum("...ac,kab->...kbc", rows, left, precision=precision)
            out = jnp.einsum("...kbc,kcd->...bd", half, right, precision=precision)
        else:
            half = jnp.einsum("...ac,kcd->...kad", rows, right, precision=precision)
            out = jnp.einsum("...kad,kab->...bd", half, left, precision=precision)
        return out.reshape(*x.shape[:-1], b * d)

    def multiply_adds(self) -> int:
        """Multiply-adds of one row of every matrix, in the cheaper order."""
        k, (a, b), (c, d) = self.left.shape[-3], self.left.shape[-2:], self.right.shape[-2:]
        return math.prod(self._lead()) * int(k * min(a * b * c + b * c * d, a * c * d + a * b * d))
