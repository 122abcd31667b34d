"""Kernels as matrices `[in, out]`, with the inputs of their statistics."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Layout(NamedTuple):
    """Layout of a leaf as matrices from inputs to outputs.

    Attributes:
        shape: Shape of the leaf.
        batch: Number of leading axes with separate matrices (layers of a stack, experts).
        inputs: Number of inputs of one matrix.
        first: Whether the input axes come before the output axes.
    """

    shape: tuple[int, ...]
    batch: int
    inputs: int
    first: bool

    def matrices(self, x: jax.Array) -> jax.Array:
        """`[layers, in, out]` from an array of the leaf's shape."""
        lead = math.prod(self.shape[: self.batch])
        if self.first:
            return x.reshape(lead, self.inputs, -1)
        return jnp.swapaxes(x.reshape(lead, -1, self.inputs), 1, 2)

    def leaf(self, x: jax.Array) -> jax.Array:
        """An array of the leaf's shape from `[layers, in, out]`."""
        return (x if self.first else jnp.swapaxes(x, 1, 2)).reshape(self.shape)


def layout(path: str, shape: tuple[int, ...], stats: Any) -> Layout:
    """Finds the input axes of a leaf from its statistics, with `squares` `[*batch, in]`.

    Leading axes of the statistics are batch axes. The next axes whose sizes multiply to the number of inputs are input
    axes, such as `[h, w, in]` of a convolution. Otherwise the last axes are, as for an embedding `[tokens, features]`
    that is also the last layer.
    """
    *lead, inputs = stats.squares.shape
    batch = len(lead)
    rest = shape[batch:]
    if tuple(shape[:batch]) == tuple(lead):
        for first, sizes in ((True, rest), (False, rest[::-1])):
            if any(math.prod(sizes[:i]) == inputs for i in range(1, len(sizes))):
                return Layout(tuple(shape), batch, inputs, first)
    raise ValueError(
        f"{path} {tuple(shape)} has statistics of {inputs} inputs with leading axes {tuple(lead)}, which do not match "
        "its axes; observe the same network"
    )
