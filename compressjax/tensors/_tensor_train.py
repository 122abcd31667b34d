"""Tensor trains: a matrix as a chain of small cores over the digits of its row and column numbers."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import dense, meta, node, value
from compressjax.tensors._matrix import MatrixNode


@node
class TensorTrain(MatrixNode):
    """A matrix whose entries are products of small matrices, one for every digit of the row and the column.

    .. math:: W_{(i_1 \\dots i_d), (o_1 \\dots o_d)} = G_1[i_1, o_1] \\, G_2[i_2, o_2] \\cdots G_d[i_d, o_d]

    A product takes one small product per core.

    Attributes:
        cores: `d` arrays or nodes `[*batch, r, in_k, out_k, r']`; the first `r` and the last `r'` are 1.
        inputs: Sizes of the input axes of the tensor; their product is that of all `in_k`.
        outputs: Sizes of the output axes.

    Example:
        >>> TensorTrain((jnp.ones((1, 4, 2, 3)), jnp.ones((3, 7, 5, 1))), (28,), (10,)).shape
        (28, 10)

    Source: Novikov et al., arXiv:1509.06569 (novikov2015).
    """

    cores: tuple[Any, ...] = value()
    inputs: tuple[int, ...] = meta()
    outputs: tuple[int, ...] = meta()

    def misfit(self) -> str:
        """Ranks of neighbors agree, and digits number all rows and columns."""
        shapes = [tuple(c.shape) for c in self.cores]
        ends = all(len(s) == len(shapes[0]) > 3 and s[:-4] == shapes[0][:-4] for s in shapes)
        if ends and shapes[0][-4] == shapes[-1][-1] == 1 and all(a[-1] == b[-4] for a, b in zip(shapes, shapes[1:])):
            sides = math.prod(s[-3] for s in shapes), math.prod(s[-2] for s in shapes)
            if sides == (math.prod(self.inputs), math.prod(self.outputs)):
                return ""
        return f"the cores have the shapes {shapes}, the inputs {self.inputs}, the outputs {self.outputs}"

    def describe(self) -> str:
        """Number of cores, and their largest rank."""
        return f"{len(self.cores)} cores, rank {max(c.shape[-1] for c in self.cores)}"

    def _fields(self) -> tuple[Any, ...]:
        return self.cores

    def _made(self, fields: tuple[Any, ...], inputs: tuple[int, ...], outputs: tuple[int, ...]) -> "TensorTrain":
        return TensorTrain(tuple(fields), tuple(inputs), tuple(outputs))

    def _lead(self) -> tuple[int, ...]:
        return tuple(self.cores[0].shape[:-4])

    def _turned(self) -> tuple[Any, ...]:
        return tuple(jnp.swapaxes(dense(core), -3, -2) for core in self.cores)

    def _matrix(self) -> jax.Array:
        lead = self._lead()
        whole = jnp.ones((*lead, 1, 1, 1), self.dtype)
        for core in self.cores:
            part = dense(core)
            grown = jnp.einsum("...IOr,...riop->...IiOop", whole, part, precision=jax.lax.Precision.HIGHEST)
            i, o = whole.shape[-3] * part.shape[-3], whole.shape[-2] * part.shape[-2]
            whole = grown.reshape(*lead, i, o, part.shape[-1])
        return whole[..., 0]

    def _times(self, x: jax.Array, precision: Any) -> jax.Array:
        kept = x.shape[:-1]
        # [n, digits of the row that are left, digits of the column that are done, r]
        state = x.reshape(*kept, 1, math.prod(self.inputs), 1)
        for core in self.cores:
            part = dense(core)
            size = part.shape[-3]
            state = state.reshape(*kept, state.shape[-3], size, state.shape[-2] // max(size, 1), part.shape[0])
            state = jnp.einsum("...Oisr,riop->...Oosp", state, part, precision=precision)
            state = state.reshape(*kept, state.shape[-4] * state.shape[-3], state.shape[-2], state.shape[-1])
        return state[..., 0, 0]

    def multiply_adds(self) -> int:
        """Multiply-adds of one row of every matrix through all cores."""
        total, left, done = 0, math.prod(self.inputs), math.prod(self._lead())
        for core in self.cores:
            r, i, o, p = core.shape[-4:]
            left //= max(i, 1)
            total += done * left * r * i * o * p
            done *= o
        return total
