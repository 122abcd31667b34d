"""Meshes whose shardings are part of array types (explicit axes), for code that leaves sharding to the compiler."""

from collections.abc import Callable
from typing import Any

import jax


def explicit(aval: Any) -> Any:
    """The sharding of an abstract array, if its mesh has explicit axes.

    Args:
        aval: Abstract array, as `jax.typeof` gives it.

    Returns:
        `NamedSharding`, or None.

    Example:
        >>> explicit(jax.typeof(jax.numpy.ones(2))) is None
        True
    """
    sharding = getattr(aval, "sharding", None)
    kinds = getattr(getattr(sharding, "mesh", None), "axis_types", None) or ()
    return sharding if jax.sharding.AxisType.Explicit in kinds else None


def with_auto_axes(fn: Callable[..., Any], like: Any) -> Callable[..., Any]:
    """A function that sorts, reshapes or decomposes, for arrays whose types say how they are sharded.

    Such operations have no rule for shardings in types. Inside, the compiler propagates them as on any other mesh; the
    results have the types of the arrays that they resemble.

    Args:
        fn: Function of arrays; it closes over none that are sharded.
        like: Tree of the result's structure, with an array of the result's shape in every place.

    Returns:
        `fn` itself where no array of `like` has such a type.

    Example:
        >>> with_auto_axes(jax.numpy.sort, jax.numpy.ones(2)) is jax.numpy.sort
        True
    """
    shardings = jax.tree.map(lambda x: explicit(jax.typeof(x)), like)
    mesh = next((s.mesh for s in jax.tree.leaves(shardings)), None)
    if mesh is None:
        return fn
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    placed = jax.tree.map(lambda s: whole if s is None else s, shardings, is_leaf=lambda s: s is None)
    return jax.sharding.auto_axes(fn, out_sharding=placed)
