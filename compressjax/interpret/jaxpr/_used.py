"""`used`: the weights on which the results of a function depend."""

from collections.abc import Callable
from typing import Any

import jax

from compressjax.core import path_string
from compressjax.interpret.jaxpr._trace import trace
from compressjax.interpret.jaxpr._walk import effective


def used(fn: Callable[..., Any]) -> Callable[..., list[str]]:
    """Transforms a function into one that returns the weights on which its results depend.

    Args:
        fn: Any JAX function whose first argument is the tree of weights.

    Returns:
        Function of the same arguments (arrays may be abstract) that only traces and returns the paths of these
            weights, in tree order. Calls are traced through; all operands of a loop or a branch count as used.

    Example:
        >>> used(lambda p, x: x * p["a"])({"a": jax.numpy.ones(2), "b": jax.numpy.ones(2)}, jax.numpy.ones(2))
        ['a']
    """

    def paths(params: Any, *args: Any, **kwargs: Any) -> list[str]:
        leaves, structure = jax.tree.flatten(((params, *args), kwargs))
        found = effective(trace(fn, leaves, structure).closed.jaxpr)
        flat = jax.tree_util.tree_flatten_with_path(params)[0]
        names = [path_string(path) for path, leaf in flat if hasattr(leaf, "dtype")]
        return [name for name, acts in zip(names, found, strict=False) if acts]

    return paths
