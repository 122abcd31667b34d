"""Where arrays lie: the mesh that the compiler splits them over, and requests that it can follow."""

import math
from typing import Any

import jax
from jax.experimental.shard_alike import shard_alike

_AUTO, _EXPLICIT = jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit


def mesh_of(x: Any) -> Any:
    """The mesh of several devices that an array lies on, outside of `shard_map`; None if there is none.

    Inside `jit`, types of arrays know their mesh but, on automatic axes, not their sharding.
    """
    mesh = getattr(getattr(jax.typeof(x), "sharding", None), "mesh", None)
    return mesh if mesh is not None and (_sizes(mesh, _AUTO) or _sizes(mesh, _EXPLICIT)) else None


def split(x: jax.Array, axis: int) -> jax.Array:
    """Asks the compiler to split an axis over all devices that divide it, and no other axis.

    Columns of a kernel that are solved on their own need no exchange then. Outside of `jit`, and without a mesh,
    nothing happens.
    """
    mesh, names = mesh_of(x), _dividing(x, axis)
    if mesh is None or not names:
        return x
    spec: list[Any] = [None] * x.ndim
    spec[axis] = tuple(names)
    return jax.lax.with_sharding_constraint(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*spec)))


def everywhere(x: jax.Array, axis: int) -> bool:
    """Whether `split` gives every device of a mesh a part of an axis."""
    mesh = mesh_of(x)
    return mesh is not None and math.prod(mesh.shape[name] for name in _dividing(x, axis)) == mesh.size


def _dividing(x: jax.Array, axis: int) -> list[str]:
    """The automatic mesh axes over which an axis can be split; none outside of `jit`."""
    mesh, names, count = mesh_of(x), [], 1
    if mesh is None or not isinstance(x, jax.core.Tracer):
        return []
    for name, size in _sizes(mesh, _AUTO).items():
        if x.shape[axis] % (count * size) == 0:
            names.append(name)
            count *= size
    return names


def alike(x: jax.Array, like: jax.Array) -> jax.Array:
    """Asks the compiler to place an array as another one of its shape; outside of `jit` nothing happens.

    Gradients do not pass.
    """
    mesh = mesh_of(like) if isinstance(like, jax.core.Tracer) else None
    if mesh is None or not _sizes(mesh, _AUTO):
        return x
    _, placed = shard_alike(jax.lax.stop_gradient(like), jax.lax.stop_gradient(x))
    return placed


def _sizes(mesh: Any, wanted: Any) -> dict[str, int]:
    """Devices along every axis of a kind."""
    kinds = zip(mesh.axis_names, mesh.axis_types, strict=True)
    return {name: mesh.shape[name] for name, kind in kinds if kind == wanted and mesh.shape[name] > 1}
