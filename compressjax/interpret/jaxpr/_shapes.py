"""Trees of shapes, which stand for trees of arrays where nothing is computed."""

from typing import Any

import jax


def shapes(tree: Any) -> Any:
    """The tree with shapes and types in the place of arrays; other leaves as they are.

    Types are those that JAX computes in: NumPy's float64 counts as float32 unless `jax_enable_x64` is on.

    Args:
        tree: Any tree.

    Returns:
        The tree of `jax.ShapeDtypeStruct`s.

    Example:
        >>> shapes({"a": jax.numpy.zeros(2), "b": "text"})
        {'a': ShapeDtypeStruct(shape=(2,), dtype=float32), 'b': 'text'}
    """
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, computed(x.dtype)) if hasattr(x, "dtype") else x, tree)


def computed(dtype: Any) -> Any:
    """The type in which JAX computes with arrays of a type."""
    return jax.dtypes.canonicalize_dtype(dtype, allow_extended_dtype=True)
