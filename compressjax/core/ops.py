"""Operations on arrays and nodes: arrays use JAX, nodes their own methods.

The result is an array, a node, or `Dense` with the reason why the node cannot run the operation.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._node import Node, dense
from compressjax.core._operation import Convolution, Dense, Product, Ragged, Window

Spec = jax.sharding.PartitionSpec
How = Product | Convolution | Ragged


def rebuild(make: Callable[..., Any], *parts: Any) -> Any:
    """Returns `make(*parts)`, or the first part that is `Dense`."""
    refused = [p for p in parts if isinstance(p, Dense)]
    return refused[0] if refused else make(*parts)


def transpose(x: Any, permutation: Sequence[int]) -> Any:
    """The axes in another order."""
    perm = tuple(permutation)
    # Arrays of NumPy, from methods that run on the host, turn without a program for every shape.
    return x.transpose(perm) if isinstance(x, Node | np.ndarray) else jnp.transpose(x, perm)


def reshape(x: Any, sizes: Sequence[int]) -> Any:
    """The entries in another shape, row-major."""
    new = tuple(sizes)
    if not isinstance(x, Node):
        return jnp.reshape(x, new)
    return x.reshape(new) if math.prod(new) else Dense("it has no entries")


def cut(x: Any, window: Sequence[Window | None]) -> Any:
    """A window of every axis; None keeps the whole axis."""
    if all(w is None for w in window):
        return x
    return x.cut(tuple(window)) if isinstance(x, Node) else _cut_array(x, window)


def _cut_array(x: Any, window: Sequence[Window | None]) -> jax.Array:
    fixed = [w if w is not None and isinstance(w.start, int) else None for w in window]
    moving = [w if w is not None and not isinstance(w.start, int) else None for w in window]
    if any(w is not None for w in fixed):
        parts = [w or Window(0, d) for w, d in zip(fixed, x.shape, strict=True)]
        ends = [w.start + (w.size - 1) * w.step + 1 if w.size else w.start for w in parts]
        x = jax.lax.slice(x, [w.start for w in parts], ends, [w.step for w in parts])
    if any(w is not None for w in moving):
        # Clip first, because `jax.lax.dynamic_slice` counts negative indices from the end.
        starts = [jnp.clip(w.start, 0, d - w.size) if w else 0 for w, d in zip(moving, x.shape, strict=True)]
        x = jax.lax.dynamic_slice(x, starts, [w.size if w else d for w, d in zip(moving, x.shape, strict=True)])
    return jnp.asarray(x)


def convert(x: Any, dtype: Any) -> Any:
    """The same tensor in another floating dtype."""
    if not jnp.issubdtype(dtype, jnp.floating):
        return Dense(f"converted to {np.dtype(dtype).name}")
    return x.convert(dtype) if isinstance(x, Node) else jnp.asarray(x).astype(dtype)


def rows(x: Any, indices: jax.Array) -> Any:
    """Rows along axis 0, dense; indices out of range are clipped."""
    return x.rows(indices) if isinstance(x, Node) else jnp.take(x, indices, axis=0, mode="clip")


def concatenate(xs: Sequence[Any], axis: int) -> Any:
    """Operands joined along an axis: one array, or one node where all are nodes of one class."""
    kinds = {type(x) if isinstance(x, Node) else None for x in xs}
    if kinds == {None}:
        return jnp.concatenate([jnp.asarray(x) for x in xs], axis)
    return xs[0].concatenate(tuple(xs[1:]), axis) if len(kinds) == 1 else Dense("its parts are of different kinds")


def multiply(x: jax.Array, w: Any, how: How) -> Any:
    """The product or convolution of activations with an operand; `Dense` where a dense operand is no slower."""
    if not isinstance(w, Node):
        return how.dense(x, jnp.asarray(w))
    if isinstance(how, Ragged):
        return w.ragged_dot(x, how)
    return w.dot(x, how) if isinstance(how, Product) else w.conv(x, how)


def product(x: jax.Array, w: Any, how: How) -> jax.Array:
    """The product or convolution, on the dense operand where that is no slower."""
    out = multiply(x, w, how)
    return how.dense(x, dense(w)) if isinstance(out, Dense) else out


def specs(x: Any, spec: Any, sizes: Mapping[str, int]) -> Any:
    """The operand with a `PartitionSpec` per array, so that each device holds the operand of its shard.

    `spec` is that of the dense tensor; `sizes` counts the devices along each mesh axis, like `mesh.shape`.
    """
    axes = (*spec, *(None for _ in range(len(x.shape) - len(spec))))
    return x.specs(axes, sizes) if isinstance(x, Node) else Spec(*axes)


def mesh_axes(x: Any) -> list[Any]:
    """The mesh axes that shard each axis of the tensor, where array types hold their sharding."""
    if isinstance(x, Node):
        return x.mesh_axes()
    spec = jax.typeof(x).sharding.spec
    return [*spec, *(None for _ in range(len(x.shape) - len(spec)))]


def prepare(x: Any) -> Any:
    """The operand in the form that runs fastest."""
    return x.prepare() if isinstance(x, Node) else x


def pack(x: Any) -> Any:
    """The operand in its smallest form in memory."""
    return x.pack() if isinstance(x, Node) else x


def stacked(x: Any) -> Any:
    """The operand as a stack over axis 0; None when it cannot be split."""
    return x.stacked() if isinstance(x, Node) else x


def as_grid(x: Any) -> Any:
    """The operand as an integer grid."""
    return x.as_grid() if isinstance(x, Node) else Dense("an array of floats")


def multiply_adds(x: Any) -> int:
    """Multiplications and additions for one input row of a dense layer or one output position of a convolution."""
    return x.multiply_adds() if isinstance(x, Node) else int(np.prod(x.shape, dtype=np.int64))
