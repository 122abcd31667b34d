"""Block-diagonal matrices under a permutation of both sides: independent sub-networks."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Node, Product, Window, buffer, dense, entry_bits, node, ops, value


@node
class BlockDiagonal(Node):
    """A matrix in which every input and every output belongs to one of b blocks, and is zero outside of them.

    .. math:: W_{P_{bi} Q_{bo}} = B_{bio}

    A product is one small product a block, with `1 / b` of the operations of the dense one.

    Attributes:
        blocks: `[*batch, b, in / b, out / b]`, array or node.
        inputs: `[*batch, b, in / b]`, the inputs P of each block, unsigned integers: a permutation of all inputs.
        outputs: `[*batch, b, out / b]`, the outputs Q of each block.

    Example:
        >>> node = BlockDiagonal(jnp.array([[[3.0]], [[5.0]]]), np.array([[0], [1]]), np.array([[1], [0]]))
        >>> node.materialize().tolist()
        [[0.0, 3.0], [5.0, 0.0]]

    Source: Kim et al., SplitNet: Learning to Semantically Split Deep Networks, 2017 (kim2017).
    """

    blocks: Any = value()
    inputs: Any = buffer()
    outputs: Any = buffer()

    @property
    def batch(self) -> int:
        """Number of leading axes with a matrix each."""
        return len(self.blocks.shape) - 3

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        *lead, b, i, o = self.blocks.shape
        return (*lead, b * i, b * o)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.blocks.dtype)

    def materialize(self) -> jax.Array:
        """The blocks at the places of their units, zero elsewhere."""

        def place(blocks: jax.Array, inputs: jax.Array, outputs: jax.Array) -> jax.Array:
            zeros = jnp.zeros(self.shape[-2:], self.dtype)
            return zeros.at[inputs[:, :, None], outputs[:, None, :]].set(blocks, unique_indices=True)

        for _ in range(self.batch):
            place = jax.vmap(place)
        return place(dense(self.blocks), jnp.asarray(_indices(self.inputs)), jnp.asarray(_indices(self.outputs)))

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of the blocks, and ceil(log2 n) bits for the place of each of n units; a mask above changes nothing."""
        del kept
        places = sum(x.size * max(n - 1, 0).bit_length() for x, n in zip(self._fields()[1:], self.shape[-2:]))
        return entry_bits(self.blocks) + places

    def describe(self) -> str:
        """The number of blocks."""
        return f"{self.blocks.shape[-3]} blocks"

    def _fields(self) -> tuple[Any, Any, Any]:
        return self.blocks, self.inputs, self.outputs

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Stack axes move among themselves; inputs and outputs may change places."""
        lead, swapped = permutation[: self.batch], permutation[-2] > permutation[-1]
        if sorted(lead) != list(range(self.batch)):
            return Dense("a stack of matrices in blocks cannot move its units in front")
        b = self.batch
        blocks = ops.transpose(self.blocks, (*lead, b, b + 2, b + 1) if swapped else (*lead, b, b + 1, b + 2))
        inputs, outputs = (ops.transpose(x, (*lead, b, b + 1)) for x in (self.inputs, self.outputs))
        return _of(blocks, outputs, inputs) if swapped else _of(blocks, inputs, outputs)

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Stack axes merge and split."""
        if sizes[-2:] != self.shape[-2:]:
            return Dense("the reshape merges or splits units of blocks")
        return _of(*(ops.reshape(x, (*sizes[:-2], *x.shape[self.batch :])) for x in self._fields()))

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """A window of the stack."""
        if any(window[-2:]):
            return Dense("the slice takes units out of blocks")
        return _of(*(ops.cut(x, (*window[:-2], *(None,) * (len(x.shape) - self.batch))) for x in self._fields()))

    def convert(self, dtype: Any) -> Any:
        """The blocks converted."""
        return _of(ops.convert(self.blocks, dtype), self.inputs, self.outputs)

    def rows(self, indices: jax.Array) -> Any:
        """Matrices of a stack, or the rows that lie in the blocks, at the places of their outputs."""
        if self.batch:
            found = _of(*(ops.rows(x, indices) for x in self._fields()))
            return found if isinstance(found, Dense) else found.materialize()
        b, i, o = self.blocks.shape
        flat = ops.reshape(self.blocks, (b * i, o))
        # Out of range is clipped before the inputs are looked up.
        where = jnp.take(_inverse(self.inputs), indices, mode="clip")
        inner = flat if isinstance(flat, Dense) else ops.rows(flat, where)

        def place(rows: jax.Array) -> jax.Array:
            zeros = jnp.zeros((len(indices), b * o), rows.dtype)
            columns = jnp.take(_indices(self.outputs), where // i, axis=0, mode="clip")
            return zeros.at[jnp.arange(len(indices))[:, None], columns].set(rows, unique_indices=True)

        return ops.rebuild(place, inner)

    def dot(self, x: jax.Array, product: Product) -> Any:
        """One batched product of the blocks with their inputs; outputs are put in order afterwards.

        Fastest where the node is a constant of the compiled function: the order of the outputs is then known.
        """
        p = product
        if self.batch or len(p.sum) != 1:
            return Dense("the product does not sum over one side of one matrix; scan over a stack")
        side = p.sum[0]
        near, far = (self.outputs, self.inputs) if side else (self.inputs, self.outputs)
        rows = jnp.moveaxis(x, p.x_sum[0], -1)
        parts, n = jnp.take(rows, _indices(near), axis=-1, mode="clip"), x.ndim
        out = ops.product(parts, self.blocks, Product((n,), (n - 1,), (side + 1,), (0,), p.precision, p.dtype))
        flat = jnp.moveaxis(out, 0, -2).reshape(*rows.shape[:-1], self.shape[1 - side])
        return jnp.take(flat, _inverse(far), axis=-1, mode="clip")

    def prepare(self) -> Any:
        """The blocks prepared; products on them stay cheaper."""
        return _of(ops.prepare(self.blocks), self.inputs, self.outputs)

    def multiply_adds(self) -> int:
        """Those of the blocks."""
        return ops.multiply_adds(self.blocks)

    def stacked(self) -> "BlockDiagonal | None":
        """All fields carry axis 0 when there is a batch axis."""
        blocks = ops.stacked(self.blocks) if self.batch else None
        return None if blocks is None else BlockDiagonal(blocks, self.inputs, self.outputs)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Stack axes lie as those of the tensor do; every device has whole matrices."""
        if any(axes[-2:]):
            return Dense("a block would lie on several devices")
        return _of(*(ops.specs(x, axes[:-2], sizes) for x in self._fields()))

    def mesh_axes(self) -> list[Any]:
        """Those of the blocks' stack axes."""
        return [*ops.mesh_axes(self.blocks)[: self.batch], None, None]


def _of(blocks: Any, inputs: Any, outputs: Any) -> Any:
    return ops.rebuild(BlockDiagonal, blocks, inputs, outputs)


def _indices(places: Any) -> Any:
    return places.astype(np.int32)


def _inverse(places: Any) -> Any:
    """Where each unit stands among the units of all blocks."""
    flat = _indices(places).reshape(-1)
    # As an argument of jit the node is traced; as a constant its order is known now.
    return np.argsort(flat) if isinstance(flat, np.ndarray) else jnp.argsort(flat)
