"""The compressions of a Linen model's layers as one, and the model without them."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from compressjax.core import Compression
from compressjax.modules._joined import joined
from compressjax.modules._linen import Viewed


def compression_of(model: nn.Module, *args: Any, **kwargs: Any) -> Compression:
    """Joins the compressions that the layers of a Linen model bring, for `as_optax`, `with_state` and `encode`.

    .. math:: view(\\theta, s)_l = view_l(\\theta_l, s_l) \\quad \\text{for every layer } l

    The model is traced, not run. The state is a dict with one state a layer, by the layer's path; as variables it lies
    where each layer looks for its own. Layers under `nn.scan` keep one state a slice and cannot be joined: wrap such
    a model in `Compressed` instead.

    Args:
        model: A Linen module with layers of `modules` (`Dense`, `Conv`, ...) or wrappers (`Compressed`) inside, or one.
        *args: Inputs, as for its forward pass; arrays or their shapes and types.
        **kwargs: Passed on.

    Returns:
        A compression of the model's `params`; leaves of other layers stay as they are.

    Raises:
        ValueError: If no layer of the model has a compression, or one lies inside another.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax import modules, quant
        >>> model = nn.Sequential([modules.Dense(4, compression=quant.fake(8)), nn.Dense(2)])
        >>> compression_of(model, jnp.ones((1, 3))).name
        'layers_0: fake(bits=8, granularity=channel)'
    """
    found: dict[str, Compression] = {}

    def note(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        own = vars(context.module).get("compression") if isinstance(context.module, Viewed) else None
        if own is not None:
            found["/".join(context.module.path)] = own
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(lambda *a: model.init(jax.random.key(0), *a, **kwargs), *args)
    return joined(found, type(model).__name__)


def plain(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a Linen model whose layers run without their compressions, on any parameters they are given.

    .. math:: lift(plain(apply))(encode(v), x) = apply(v, x)

    Args:
        fn: `model.apply`, or any function that calls it.

    Returns:
        The function, which needs no collection `compression`.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax import lift, modules, quant
        >>> model, x = modules.Dense(4, compression=quant.fake(8)), jnp.ones((1, 3))
        >>> variables = model.init(jax.random.key(0), x)
        >>> small = modules.encode(variables, modules.compression_of(model, x))
        >>> lift(plain(model.apply))(small, x).shape
        (1, 4)
    """

    inside: set[tuple[str, ...]] = set()

    def through(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        module, name = context.module, context.method_name
        # The dense layer's own method is called on the same module, and is not to be replaced again.
        if not isinstance(module, Viewed) or name not in module.viewed or module.path in inside:
            return call(*args, **kwargs)
        inside.add(module.path)
        try:
            return module.viewed[name](module.seen(), *args, **kwargs)
        finally:
            inside.remove(module.path)

    def run(*args: Any, **kwargs: Any) -> Any:
        with nn.intercept_methods(through):
            return fn(*args, **kwargs)

    return run
