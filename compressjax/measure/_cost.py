"""Cost of running a model: operations as XLA counts them, and multiply-adds per weight."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from compressjax.core import nodes, ops
from compressjax.core._tree import is_value
from compressjax.interpret.jaxpr._compiled import traced


class MultiplyAdds(NamedTuple):
    """Multiply-adds of one leaf, for one input row or one output position.

    Attributes:
        dense: Those of the dense tensor.
        stored: Those of the node: factors instead of their product, only unmasked entries.
    """

    dense: int
    stored: int


def flops(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> float:
    """Returns the number of operations of one call, as XLA counts them before optimization.

    A product of `[m, k]` and `[k, n]` counts `2 m k n`. Masks do not lower the count, because dense products multiply
    zeros too. The body of a loop counts once.

    Args:
        fn: Any JAX function; `lift(apply)` for trees with nodes.
        *args: Positional arguments; arrays may be abstract.
        **kwargs: Keyword arguments.

    Returns:
        Number of operations.

    Raises:
        ValueError: If the backend has no cost analysis.

    Example:
        >>> import jax.numpy as jnp
        >>> flops(jnp.dot, jnp.ones((4, 8)), jnp.ones((8, 16)))
        1024.0
    """
    run, program = traced(fn, *args, **kwargs)
    costs = jax.jit(run).lower(*program.inputs).cost_analysis()
    if not isinstance(costs, dict) or "flops" not in costs:
        raise ValueError(f"{jax.default_backend()} counts no operations; count on the CPU, or use multiply_adds")
    return float(costs["flops"])


def multiply_adds(tree: Any) -> dict[str, MultiplyAdds]:
    """Returns the multiply-adds of each kernel, from shapes, ranks and masks.

    For one input row of a dense layer, or one output position of a convolution,

    .. math:: dense = \\prod_i d_i, \\quad LowRank = |L| + |R|, \\quad Masked = \\sum M, \\quad Sum = \\sum_j T_j

    Masked entries do not count, although dense products on CPUs and GPUs do not skip zeros.

    Args:
        tree: Tree of arrays and nodes.

    Returns:
        `{path: MultiplyAdds}` for floating-point leaves with at least two axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.tensors import LowRank
        >>> multiply_adds({"kernel": LowRank(jnp.ones((8, 2)), jnp.ones((2, 4)))})["kernel"]
        MultiplyAdds(dense=32, stored=24)
    """
    kernels = {path: x for path, x in nodes(tree).items() if is_value(x) and len(x.shape) >= 2}
    return {path: MultiplyAdds(math.prod(x.shape), ops.multiply_adds(x)) for path, x in kernels.items()}
