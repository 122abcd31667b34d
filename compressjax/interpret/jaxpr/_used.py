"""`used`: the weights on which the results of a function depend."""

from collections.abc import Callable
from typing import Any

import jax

from compressjax.core._paths import flatten_with_path, path_string
from compressjax.interpret.jaxpr._trace import trace
from compressjax.interpret.jaxpr._walk import effective


def used(fn: Callable[..., Any]) -> Callable[..., list[str]]:
    """Transforms a function into one that returns the paths of the weights on which its results depend."""

    def paths(params: Any, *args: Any, **kwargs: Any) -> list[str]:
        leaves, structure = jax.tree.flatten(((params, *args), kwargs))
        found = effective(trace(fn, leaves, structure).closed.jaxpr)
        flat = flatten_with_path(params)[0]
        names = [path_string(path) for path, leaf in flat if hasattr(leaf, "dtype")]
        return [name for name, acts in zip(names, found, strict=False) if acts]

    return paths
