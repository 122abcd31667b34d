"""What running costs: operations as XLA counts them, and multiplications a weight takes part in."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from compressjax.core import is_value, nodes, ops


class MultiplyAdds(NamedTuple):
    """Multiplications and additions that one leaf takes part in, for one input row or one output position.

    Attributes:
        dense: Of the dense tensor.
        stored: Of the node: factors instead of their product, entries under a mask only.
    """

    dense: int
    stored: int


def flops(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> float:
    """Floating-point and integer operations of one call, as XLA counts them before it optimizes.

    A product of `[m, k]` and `[k, n]` counts `2 m k n`. Masks do not lower the count: dense products multiply zeros
    too. The body of a loop counts once, however often it runs.

    Args:
        fn: Any JAX function; `lift(apply)` for trees with nodes.
        *args: Its arguments; arrays may be abstract.
        **kwargs: Its keyword arguments.

    Returns:
        Number of operations.

    Raises:
        ValueError: If the backend has no cost analysis.

    Example:
        >>> import jax.numpy as jnp
        >>> flops(jnp.dot, jnp.ones((4, 8)), jnp.ones((8, 16)))
        1024.0
    """
    costs = jax.jit(fn).lower(*args, **kwargs).cost_analysis()
    if not isinstance(costs, dict) or "flops" not in costs:
        raise ValueError(f"{jax.default_backend()} counts no operations; count on the CPU, or use multiply_adds")
    return float(costs["flops"])


def multiply_adds(tree: Any) -> dict[str, MultiplyAdds]:
    """Multiplications and additions that each kernel takes part in, from shapes, ranks and masks alone.

    For one input row of a dense layer, or one output position of a convolution,

    .. math:: dense = \\prod_i d_i, \\quad LowRank = |L| + |R|, \\quad Masked = \\sum M, \\quad Sum = \\sum_j T_j

    A mask counts as if zeros were skipped, which dense products on CPUs and GPUs do not do.

    Args:
        tree: Tree of arrays and nodes.

    Returns:
        `{path: MultiplyAdds}` for floating leaves with at least two axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.tensors import LowRank
        >>> multiply_adds({"kernel": LowRank(jnp.ones((8, 2)), jnp.ones((2, 4)))})["kernel"]
        MultiplyAdds(dense=32, stored=24)
    """
    kernels = {path: x for path, x in nodes(tree).items() if is_value(x) and len(x.shape) >= 2}
    return {path: MultiplyAdds(math.prod(x.shape), ops.multiply_adds(x)) for path, x in kernels.items()}
