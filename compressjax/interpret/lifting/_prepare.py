"""`prepare`: from the form that is small to the form that runs fast."""

from typing import Any

import jax

from compressjax.core import is_node, ops


def prepare(tree: Any) -> Any:
    """Turns stored nodes into the nodes that run fastest on this machine; the function that they compute is the same.

    Masks, float tables and small integer matrices become dense arrays, once, instead of in every call; larger integer
    grids become `Quantized` codes, matrices with the summed axis last; factors and sums are kept. This trades memory
    for speed: the file stays as small as it was, the arrays in memory may not.

    Args:
        tree: A tree of arrays and nodes, as loaded from an artifact.

    Returns:
        A tree that `lift` runs; results equal those of the given tree up to rounding, that of activations included.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.tensors import Masked
        >>> prepare({"kernel": Masked(jnp.ones((2, 2)), jnp.eye(2, dtype=bool))})["kernel"].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return jax.tree.map(ops.prepare, tree, is_leaf=is_node)
