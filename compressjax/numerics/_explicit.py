"""Explicit mesh axes, where shardings are part of array types, for code that needs automatic sharding."""

import math
from collections.abc import Callable
from typing import Any

import jax


def explicit(aval: Any) -> Any:
    """Returns the sharding of an abstract array, if its mesh has explicit axes."""
    sharding = getattr(aval, "sharding", None)
    kinds = getattr(getattr(sharding, "mesh", None), "axis_types", None) or ()
    return sharding if jax.sharding.AxisType.Explicit in kinds else None


def automatically(fn: Callable[..., Any], out_sharding: Any) -> Callable[..., Any]:
    """A function under automatic sharding, with results of these shardings; axes of `shard_map` stay as they are."""
    mesh = jax.tree.leaves(out_sharding)[0].mesh
    named = zip(mesh.axis_names, mesh.axis_types, strict=True)
    axes = tuple(name for name, kind in named if kind == jax.sharding.AxisType.Explicit)
    return jax.sharding.auto_axes(fn, axes=axes, out_sharding=out_sharding)


def with_whole_results(fn: Callable[..., Any], of: Any) -> Callable[..., Any]:
    """As `with_auto_axes`, for results of other shapes than the arguments `of`: every device holds them whole."""
    mesh = next((s.mesh for x in jax.tree.leaves(of) if (s := explicit(jax.typeof(x))) is not None), None)
    if mesh is None:
        return fn
    return automatically(fn, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))


def block_sharding(x: Any, blocks: tuple[int, ...]) -> Any:
    """The sharding of one entry a block of a leaf: split as the leaf is, where blocks divide; None as `explicit`."""
    sharding = explicit(jax.typeof(x))
    if sharding is None:
        return None
    spec = [e if e and count % _devices(sharding.mesh, e) == 0 else None for e, count in zip(sharding.spec, blocks)]
    return sharding.update(spec=jax.sharding.PartitionSpec(*spec))


def _devices(mesh: Any, entry: Any) -> int:
    return math.prod(mesh.shape[name] for name in (entry if isinstance(entry, tuple) else (entry,)))


def with_shardings(fn: Callable[..., Any], shardings: Any) -> Callable[..., Any]:
    """As `with_auto_axes`, for results of these shardings, a tree; `fn` itself if it has none."""
    return automatically(fn, shardings) if jax.tree.leaves(shardings) else fn


def with_auto_axes(fn: Callable[..., Any], like: Any) -> Callable[..., Any]:
    """Wraps a function so that it runs under automatic sharding on a mesh with explicit axes.

    Sorts, reshapes and decompositions have no rule for explicit shardings. Inside the function, the compiler propagates
    shardings automatically. The results have the shardings of the arrays in `like`.

    Args:
        fn: Function of arrays that does not close over sharded arrays.
        like: Tree of arrays with the structure and shapes of the result.

    Returns:
        The wrapped function; `fn` itself if no array of `like` has an explicit sharding.

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
    return automatically(fn, placed)
