"""`prepare`: nodes in the form that runs fastest."""

from typing import Any

import jax

from compressjax.core import is_node, ops


def prepare(tree: Any) -> Any:
    """Converts nodes to the form that runs fastest on this machine, without changing their values.

    Masks, float tables and small integer matrices become dense arrays once, instead of in every call. Larger integer
    grids become `Quantized` codes in the fastest layout. Low-rank factors and sums stay. This trades memory for speed:
    the arrays in memory may be larger than those in the file.

    Args:
        tree: A tree of arrays and nodes, as loaded from an artifact.

    Returns:
        A tree for `lift`; results are equal up to rounding, including the rounding of activations.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.tensors import Masked
        >>> prepare({"kernel": Masked(jnp.ones((2, 2)), jnp.eye(2, dtype=bool))})["kernel"].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return jax.tree.map(ops.prepare, tree, is_leaf=is_node)
