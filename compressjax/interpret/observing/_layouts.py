"""`layouts`: which axes of every weight a function sums over, from its trace."""

from collections.abc import Callable
from typing import Any

from compressjax.core._layout import Layout
from compressjax.core._tree import is_value, nodes
from compressjax.interpret.jaxpr._trace import abstractly
from compressjax.interpret.observing._observe import observed


def layouts(fn: Callable[..., Any]) -> Callable[..., dict[str, Layout]]:
    """Transforms a function into one that returns the layout of every weight that it multiplies with data.

    .. math:: y = \\sum_{i \\in inputs} x_i W_{i\\,o}, \\quad o \\in outputs

    Only traces the function. Pass the result as `layout=` to `compress`, `fit` or `partition`: methods then find inputs
    and outputs of kernels in any layout (`[in, out]`, `[out, in]`, `OIHW`, heads, experts), and one compression without
    a selector acts on these weights only, and not on embeddings of positions, norm parameters or running means.

    A weight that products sum over in several ways, such as a tied embedding, has the layout of the record that
    `observe` gives its path. A weight that is used in parts is absent.

    Args:
        fn: Any JAX function with the weights in its first argument.

    Returns:
        Function of the same arguments (arrays may be abstract) that returns `{path: Layout}`; empty if the function
            has no product.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"kernel": jnp.ones((8, 4)), "bias": jnp.ones(8)}
        >>> layouts(lambda p, x: x @ p["kernel"].T + p["bias"])(params, jnp.ones((2, 4)))
        {'kernel': Layout(batch=(), inputs=(1,), outputs=(0,))}
    """

    def traced(params: Any, *args: Any, **kwargs: Any) -> dict[str, Layout]:
        if not any(is_value(x) for x in nodes(params).values()):
            return {}
        found = abstractly(lambda *a: observed(fn, None, False, *a)[1], params, args, kwargs)
        return {path: s.layout for path, s in found.items() if "#" not in path and s.layout.order}

    return traced
