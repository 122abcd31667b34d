"""Weights tied by a fixed pattern: circulant blocks, Toeplitz matrices, and hashed entries."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Node, Product, dense, entry_bits, meta, node, ops, value

PATTERNS = ("circulant", "toeplitz", "hashed")


@node
class Patterned(Node):
    """A tensor whose entries repeat a few values in a pattern that follows from their places, so no code is stored.

    .. math:: W_{pb+i,\\,qb+j} = v_{pq,\\,(j-i) \\bmod b}, \\qquad W_{ij} = v_{j - i + n - 1}, \\qquad
        W_i = \\xi_i v_{h_i}

    for circulant blocks of size b, for a Toeplitz matrix of n rows, and for hashed entries: `h` and the sign `xi` are
    bits of a hash of the place and the seed. Products with circulant and Toeplitz matrices are convolutions, by the
    fast Fourier transform in `n log n` operations.

    Attributes:
        values: `[*batch, rows / b, columns / b, b]`, `[*batch, rows + columns - 1]` or `[*batch, m]`; array or node.
        sizes: Shape of one dense tensor, without batch axes; two axes, any number for hashed entries.
        pattern: `"circulant"`, `"toeplitz"` or `"hashed"`.
        seed: Seed of the hash, below 2^32.

    Example:
        >>> Patterned(jnp.array([1.0, 2.0, 3.0]), (2, 2), "toeplitz").materialize().tolist()
        [[2.0, 3.0], [1.0, 2.0]]

    Source: hashed: Chen et al., arXiv:1504.04788 (chen2015); circulant: Cheng et al., arXiv:1502.03436 (cheng2015).
    """

    values: Any = value()
    sizes: tuple[int, ...] = meta()
    pattern: str = meta()
    seed: int = meta(default=0)

    @property
    def batch(self) -> int:
        """Number of leading batch axes."""
        return len(self.values.shape) - (3 if self.pattern == "circulant" else 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return (*self.values.shape[: self.batch], *self.sizes)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.values.dtype)

    def misfit(self) -> str:
        """The values are as many as the pattern of these sizes needs."""
        own = tuple(self.values.shape[max(self.batch, 0) :])
        if self.pattern not in PATTERNS or self.batch < 0:
            return f"{own} values in the pattern {self.pattern!r}, which is none of {PATTERNS}"
        if self.pattern == "circulant":
            fits = len(self.sizes) == 2 and (own[0] * own[2], own[1] * own[2]) == tuple(self.sizes)
        elif self.pattern == "toeplitz":
            fits = len(self.sizes) == 2 and own == (sum(self.sizes) - 1,)
        else:
            fits = own[0] > 0 and math.prod(self.sizes) < 2**32
        return "" if fits else f"{own} values do not make {self.pattern} entries of the sizes {tuple(self.sizes)}"

    def materialize(self) -> jax.Array:
        """Looks up the value of every entry."""
        rows = jnp.arange(self.sizes[0])
        return self._mapped(lambda values: self._lookup(values, rows))

    def _mapped(self, function: Any) -> jax.Array:
        for _ in range(self.batch):
            function = jax.vmap(function)
        return function(dense(self.values))

    def _lookup(self, values: jax.Array, rows: jax.Array) -> jax.Array:
        """Entries of some rows, `[rows, *sizes[1:]]`."""
        sizes, count = self.sizes, math.prod(self.sizes[1:])
        i, j = rows[:, None], jnp.arange(count)[None, :]
        if self.pattern == "circulant":
            b = values.shape[-1]
            return values[i // b, j // b, (j - i) % b]
        if self.pattern == "toeplitz":
            return jnp.take(values, j - i + sizes[0] - 1)
        index, sign = hashed(i.astype(jnp.uint32) * np.uint32(count) + j.astype(jnp.uint32), values.shape[0], self.seed)
        found = jnp.take(values, index.astype(jnp.int32))
        return jnp.where(sign, -found, found).reshape(rows.shape[0], *sizes[1:])

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of the values; an outer mask does not reduce them."""
        del kept
        return entry_bits(self.values)

    def describe(self) -> str:
        """The pattern and how many values it has."""
        return f"{self.pattern}, {math.prod(self.values.shape)} values"

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Circulant blocks and diagonals in the other direction."""
        if self.batch or self.pattern == "hashed" or permutation != (1, 0):
            return Dense("the pattern follows the order of its axes")
        values = jnp.flip(dense(self.values), -1)
        if self.pattern == "circulant":
            values = jnp.swapaxes(jnp.roll(values, 1, -1), 0, 1)
        return self.replace(values=values, sizes=self.sizes[::-1])

    def convert(self, dtype: Any) -> Any:
        """Converts the values."""
        return ops.rebuild(lambda v: self.replace(values=v), ops.convert(self.values, dtype))

    def rows(self, indices: jax.Array) -> Any:
        """Looks up the entries of the rows."""
        if self.batch:
            return Dense("the rows of a stack are whole tensors")
        return self._lookup(dense(self.values), jnp.clip(indices, 0, self.sizes[0] - 1))

    def dot(self, x: jax.Array, product: Product) -> Any:
        """A product by the fast Fourier transform, for circulant and Toeplitz matrices."""
        p = product
        if self.batch or self.pattern == "hashed" or len(p.sum) != 1:
            return Dense("its entries are looked up before the product")
        flat = jnp.moveaxis(x, p.x_sum[0], -1).astype(jnp.float32)
        values = dense(self.values).astype(jnp.float32)
        found = (
            _circulant(flat, values, p.sum[0])
            if self.pattern == "circulant"
            else self._toeplitz(flat, values, p.sum[0])
        )
        return found.astype(p.dtype if p.dtype is not None else jnp.result_type(x.dtype, self.dtype))

    def _toeplitz(self, x: jax.Array, values: jax.Array, side: int) -> jax.Array:
        """A Toeplitz matrix is the corner of a circulant one, whose first row holds its diagonals."""
        n, m = self.sizes
        size = n + m - 1
        first = jnp.roll(values, 1 - n)[None, None, :]  # the main diagonal comes first
        padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, size - x.shape[-1])])
        return _circulant(padded, first, side)[..., : (m, n)[side]]


def _circulant(x: jax.Array, values: jax.Array, side: int) -> jax.Array:
    """`x @ W` (side 0) or `x @ W.T` (side 1) of circulant blocks, by the convolution theorem."""
    b = values.shape[-1]
    inputs = jnp.fft.rfft(x.reshape(*x.shape[:-1], -1, b))
    kernel = jnp.fft.rfft(values)
    mixed = jnp.einsum(
        "...pf,pqf->...qf" if side == 0 else "...qf,pqf->...pf", inputs, jnp.conj(kernel) if side else kernel
    )
    out = jnp.fft.irfft(mixed, b)
    return out.reshape(*x.shape[:-1], -1)


def hashed(places: jax.Array, count: int, seed: int) -> tuple[jax.Array, jax.Array]:
    """Index below `count` and sign of every place (uint32), from the finalizer of MurmurHash3."""
    x = places ^ np.uint32(seed)
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    x = x ^ (x >> 16)
    return (x >> 1) % np.uint32(count), (x & 1) == 1
