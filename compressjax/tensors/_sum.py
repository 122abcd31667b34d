"""Sums of nodes: low rank plus sparse, grid plus correction."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from compressjax.core import Convolution, Dense, Node, Product, Ragged, Window, dense, entry_bits, node, ops, value


@node
class Sum(Node):
    """A sum of terms of the same shape.

    .. math:: W = \\sum_j T_j

    Attributes:
        terms: Arrays or nodes, all with the shape of the dense tensor.

    Example:
        >>> import jax.numpy as jnp
        >>> Sum((jnp.ones(2), jnp.ones(2))).materialize().tolist()
        [2.0, 2.0]

    Source: low rank plus sparse as in Candes et al., arXiv:0912.3599.
    """

    terms: tuple[Any, ...] = value()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return tuple(self.terms[0].shape)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.terms[0].dtype)

    def misfit(self) -> str:
        """All terms have one shape."""
        shapes = [tuple(term.shape) for term in self.terms]
        return "" if len(set(shapes)) == 1 else f"the terms have the shapes {shapes}"

    def materialize(self) -> jax.Array:
        """Adds the terms from first to last."""
        total = dense(self.terms[0])
        for term in self.terms[1:]:
            total = total + dense(term)
        return total

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of all terms."""
        return sum(entry_bits(term, kept) for term in self.terms)

    def _each(self, change: Callable[[Any], Any]) -> Any:
        return ops.rebuild(lambda *terms: Sum(terms), *(change(term) for term in self.terms))

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Transposes every term."""
        return self._each(lambda term: ops.transpose(term, permutation))

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Reshapes every term."""
        return self._each(lambda term: ops.reshape(term, sizes))

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices every term."""
        return self._each(lambda term: ops.cut(term, window))

    def convert(self, dtype: Any) -> Any:
        """Converts every term."""
        return self._each(lambda term: ops.convert(term, dtype))

    def rows(self, indices: jax.Array) -> Any:
        """Adds the rows of the terms."""
        found = self._each(lambda term: ops.rows(term, indices))
        return found if isinstance(found, Dense) else found.materialize()

    def _multiply(self, x: jax.Array, how: ops.How) -> Any:
        """Multiplies each term that has a faster form, and the dense sum of the remaining terms once."""
        parts, rest = [], []
        for term in self.terms:
            part = ops.multiply(x, term, how) if isinstance(term, Node) else Dense("an array")
            if isinstance(part, Dense):
                rest.append(dense(term))
            else:
                parts.append(part)
        if not parts:
            return Dense("no term has a faster form")
        if rest:
            parts.append(how.dense(x, sum(rest[1:], rest[0])))
        return sum(parts[1:], parts[0])

    def dot(self, x: jax.Array, product: Product) -> Any:
        """Adds the products of the terms."""
        return self._multiply(x, product)

    def ragged_dot(self, x: jax.Array, ragged: Ragged) -> Any:
        """Adds the ragged products of the terms."""
        return self._multiply(x, ragged)

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins the terms one by one."""
        parts = [self, *others]
        if len({len(p.terms) for p in parts}) > 1:
            return Dense("sums of different numbers of terms cannot be joined")
        joined = (ops.concatenate(terms, axis) for terms in zip(*(p.terms for p in parts), strict=True))
        return ops.rebuild(lambda *terms: Sum(terms), *joined)

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """Adds the convolutions of the terms."""
        return self._multiply(x, convolution)

    def prepare(self) -> Any:
        """Merges all dense terms into one array, and returns that array if no other term is left."""
        terms = [ops.prepare(term) for term in self.terms]
        kept = [term for term in terms if isinstance(term, Node)]
        arrays = [term for term in terms if not isinstance(term, Node)]
        if arrays:
            kept.append(sum(arrays[1:], arrays[0]))
        return kept[0] if len(kept) == 1 else Sum(tuple(kept))

    def pack(self) -> Any:
        """Packs every term."""
        return Sum(tuple(ops.pack(term) for term in self.terms))

    def multiply_adds(self) -> int:
        """Multiply-adds of all terms."""
        return sum(ops.multiply_adds(term) for term in self.terms)

    def stacked(self) -> "Sum | None":
        """Stacks every term; None if one cannot be stacked."""
        terms = tuple(ops.stacked(term) for term in self.terms)
        return None if any(t is None for t in terms) else Sum(terms)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards every term like the tensor."""
        return self._each(lambda term: ops.specs(term, axes, sizes))

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the first term."""
        return ops.mesh_axes(self.terms[0])
