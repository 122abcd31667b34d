"""Block-diagonal matrices with permuted rows and columns: independent sub-networks."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Node, Product, Window, buffer, dense, entry_bits, node, ops, value


@node
class BlockDiagonal(Node):
    """A block-diagonal matrix with permuted rows and columns: every input and output belongs to one of b blocks.

    .. math:: W_{P_{bi} Q_{bo}} = B_{bio}

    A product runs one small product per block, with `1 / b` of the operations of the dense product.

    Attributes:
        blocks: `[*batch, b, in / b, out / b]`, array or node.
        inputs: `[*batch, b, in / b]`, input indices P of each block, unsigned integers: a permutation of all inputs.
        outputs: `[*batch, b, out / b]`, output indices Q of each block.

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
        """Number of leading batch axes."""
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

    def misfit(self) -> str:
        """Every block has its inputs and its outputs."""
        blocks, inputs, outputs = (tuple(x.shape) for x in self._fields())
        if len(blocks) > 2 and inputs == blocks[:-1] and outputs == (*blocks[:-2], blocks[-1]):
            return ""
        return f"the blocks have the shape {blocks}, the inputs {inputs}, the outputs {outputs}"

    def materialize(self) -> jax.Array:
        """Scatters the blocks to their rows and columns; all other entries are zero."""

        def place(blocks: jax.Array, inputs: jax.Array, outputs: jax.Array) -> jax.Array:
            zeros = jnp.zeros(self.shape[-2:], self.dtype)
            return zeros.at[inputs[:, :, None], outputs[:, None, :]].set(blocks, unique_indices=True)

        for _ in range(self.batch):
            place = jax.vmap(place)
        return place(dense(self.blocks), jnp.asarray(_indices(self.inputs)), jnp.asarray(_indices(self.outputs)))

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of the blocks, plus ceil(log2 n) bits for each of n indices; an outer mask does not reduce them."""
        del kept
        places = sum(x.size * max(n - 1, 0).bit_length() for x, n in zip(self._fields()[1:], self.shape[-2:]))
        return entry_bits(self.blocks) + places

    def describe(self) -> str:
        """Number of blocks."""
        return f"{self.blocks.shape[-3]} blocks"

    def _fields(self) -> tuple[Any, Any, Any]:
        return self.blocks, self.inputs, self.outputs

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Permutes the batch axes and may swap inputs with outputs."""
        lead, swapped = permutation[: self.batch], permutation[-2] > permutation[-1]
        if sorted(lead) != list(range(self.batch)):
            return Dense("a batch of block-diagonal matrices cannot move input or output axes before its batch axes")
        b = self.batch
        blocks = ops.transpose(self.blocks, (*lead, b, b + 2, b + 1) if swapped else (*lead, b, b + 1, b + 2))
        inputs, outputs = (ops.transpose(x, (*lead, b, b + 1)) for x in (self.inputs, self.outputs))
        return _of(blocks, outputs, inputs) if swapped else _of(blocks, inputs, outputs)

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Merges or splits batch axes."""
        if sizes[-2:] != self.shape[-2:]:
            return Dense("the reshape merges or splits the input or output axis of the blocks")
        return _of(*(ops.reshape(x, (*sizes[:-2], *x.shape[self.batch :])) for x in self._fields()))

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices the batch axes."""
        if any(window[-2:]):
            return Dense("the slice removes inputs or outputs of blocks")
        return _of(*(ops.cut(x, (*window[:-2], *(None,) * (len(x.shape) - self.batch))) for x in self._fields()))

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins batches of matrices."""
        fields = list(zip(self._fields(), *(other._fields() for other in others), strict=True))
        if axis >= self.batch or any(len({x.shape[self.batch :] for x in parts}) > 1 for parts in fields):
            return Dense("block-diagonal matrices can only be joined along a batch axis, with blocks of one size")
        return _of(*(ops.concatenate(parts, axis) for parts in fields))

    def convert(self, dtype: Any) -> Any:
        """Converts the blocks."""
        return _of(ops.convert(self.blocks, dtype), self.inputs, self.outputs)

    def rows(self, indices: jax.Array) -> Any:
        """Returns matrices of a batch, or dense rows of one matrix."""
        if self.batch:
            found = _of(*(ops.rows(x, indices) for x in self._fields()))
            return found if isinstance(found, Dense) else found.materialize()
        b, i, o = self.blocks.shape
        flat = ops.reshape(self.blocks, (b * i, o))
        # Clip indices that are out of range before looking up the inputs.
        where = jnp.take(_inverse(self.inputs), indices, mode="clip")
        inner = flat if isinstance(flat, Dense) else ops.rows(flat, where)

        def place(rows: jax.Array) -> jax.Array:
            count = indices.shape[0]  # may be symbolic, unlike a length
            zeros = jnp.zeros((count, b * o), rows.dtype)
            columns = jnp.take(_indices(self.outputs), where // i, axis=0, mode="clip")
            return zeros.at[jnp.arange(count)[:, None], columns].set(rows, unique_indices=True)

        return ops.rebuild(place, inner)

    def dot(self, x: jax.Array, product: Product) -> Any:
        """One batched product of the blocks with their inputs, then a permutation of the outputs.

        It is fastest when the node is a constant of the compiled function, since the permutation is then known.
        """
        p = product
        if self.batch or len(p.sum) != 1:
            return Dense("the product does not sum over one side of a single matrix; scan over the batch")
        side = p.sum[0]
        near, far = (self.outputs, self.inputs) if side else (self.inputs, self.outputs)
        rows = jnp.moveaxis(x, p.x_sum[0], -1)
        parts, n = jnp.take(rows, _indices(near), axis=-1, mode="clip"), x.ndim
        out = ops.product(parts, self.blocks, Product((n,), (n - 1,), (side + 1,), (0,), p.precision, p.dtype))
        flat = jnp.moveaxis(out, 0, -2).reshape(*rows.shape[:-1], self.shape[1 - side])
        return jnp.take(flat, _inverse(far), axis=-1, mode="clip")

    def prepare(self) -> Any:
        """Prepares the blocks; the node stays, since its products are cheaper than dense ones."""
        return _of(ops.prepare(self.blocks), self.inputs, self.outputs)

    def pack(self) -> Any:
        """Packs the blocks."""
        return BlockDiagonal(ops.pack(self.blocks), self.inputs, self.outputs)

    def multiply_adds(self) -> int:
        """Multiply-adds of the blocks."""
        return ops.multiply_adds(self.blocks)

    def stacked(self) -> "BlockDiagonal | None":
        """With a batch axis, all fields already have axis 0."""
        blocks = ops.stacked(self.blocks) if self.batch else None
        return None if blocks is None else BlockDiagonal(blocks, self.inputs, self.outputs)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards the batch axes like the tensor; every device holds whole matrices."""
        if any(axes[-2:]):
            return Dense("a block would be split over several devices")
        return _of(*(ops.specs(x, axes[:-2], sizes) for x in self._fields()))

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the blocks' batch axes."""
        return [*ops.mesh_axes(self.blocks)[: self.batch], None, None]


def _of(blocks: Any, inputs: Any, outputs: Any) -> Any:
    return ops.rebuild(BlockDiagonal, blocks, inputs, outputs)


def _indices(places: Any) -> Any:
    return places.astype(np.int32)


def _inverse(places: Any) -> Any:
    """Inverse permutation: the position of each unit in the concatenated blocks."""
    flat = _indices(places).reshape(-1)
    # The indices are traced if the node is an argument of jit, and concrete if it is a constant.
    return np.argsort(flat) if isinstance(flat, np.ndarray) else jnp.argsort(flat)
