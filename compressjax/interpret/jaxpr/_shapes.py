"""Trees of shapes, as abstract arguments."""

from typing import Any

import jax


def shapes(tree: Any) -> Any:
    """Replaces the arrays of a tree with their shapes and dtypes; other leaves are unchanged.

    Dtypes are those that JAX computes in: NumPy's float64 becomes float32 unless `jax_enable_x64` is on.
    """
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, computed(x.dtype)) if hasattr(x, "dtype") else x, tree)


def computed(dtype: Any) -> Any:
    """The dtype in which JAX computes with arrays of the given dtype."""
    return jax.dtypes.canonicalize_dtype(dtype, allow_extended_dtype=True)
