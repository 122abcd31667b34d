"""The compressions of a Linen model's layers as one, and the model without them."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from compressjax.core import Compression
from compressjax.modules._joined import doubled, joined
from compressjax.modules._linen import Viewed
from compressjax.modules._variables import state_of


def compression_of(model: nn.Module, *args: Any, **kwargs: Any) -> Compression:
    """Joins the compressions that the layers of a Linen model bring, for `as_optax`, `with_state` and `encode`.

    .. math:: view(\\theta, s)_l = view_l(\\theta_l, s_l) \\quad \\text{for every layer } l

    The model is traced, not run. The state is a dict with one state a layer, by the layer's path; as variables it lies
    where each layer looks for its own. Layers under `nn.scan` and `nn.vmap` keep one state a slice and are refused:
    wrap such a model in `Compressed` instead.

    Args:
        model: A Linen module with layers of `modules` (`Dense`, `Conv`, ...) or wrappers (`Compressed`) inside, or one.
        *args: Inputs, as for its forward pass; arrays or their shapes and types.
        **kwargs: Passed on.

    Returns:
        A compression of the model's `params`; leaves of other layers stay as they are.

    Raises:
        ValueError: If no layer of the model has a compression, one lies inside another, or has a state a slice.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax import modules, quant
        >>> model = nn.Sequential([modules.Dense(4, compression=quant.fake_quant(8)), nn.Dense(2)])
        >>> compression_of(model, jnp.ones((1, 3))).name
        'layers_0: fake_quant(bits=8, granularity=channel)'
    """
    found: dict[str, Compression] = {}
    kinds: dict[str, type] = {}

    def note(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        layer = context.module
        if _is_view(context) and layer.compression is not None:
            path = "/".join(layer.path)
            found.setdefault(path, layer.compression)
            # A layer may be called and traced again, and its compression made anew each time.
            if kinds.setdefault(path, type(layer)) is not type(layer):
                raise doubled(path)
        return call(*args, **kwargs)

    # Flags stay what they are; only arrays are traced.
    leaves, structure = jax.tree.flatten((args, kwargs))
    arrays = [leaf for leaf in leaves if _is_array(leaf)]

    def init(*given: Any) -> Any:
        coming = iter(given)
        a, k = jax.tree.unflatten(structure, [next(coming) if _is_array(leaf) else leaf for leaf in leaves])
        return model.init(jax.random.key(0), *a, **k)

    with nn.intercept_methods(note):
        variables = jax.eval_shape(init, *arrays)
    joint = joined(found, type(model).__name__)
    try:
        state_of(variables, joint)
    except ValueError as error:
        raise ValueError(
            f"a layer of {type(model).__name__} keeps its state in another shape than its parameters ask for, as under "
            "nn.scan or nn.vmap, where there is one a slice; wrap the whole model in modules.Compressed instead"
        ) from error
    return joint


def _is_view(context: nn.module.InterceptorContext) -> bool:
    return isinstance(context.module, Viewed) and context.method_name == "through"


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


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
        >>> model, x = modules.Dense(4, compression=quant.fake_quant(8)), jnp.ones((1, 3))
        >>> variables = model.init(jax.random.key(0), x)
        >>> small = modules.encode(variables, modules.compression_of(model, x))
        >>> lift(plain(model.apply))(small, x).shape
        (1, 4)
    """

    def dense(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        if not _is_view(context):
            return call(*args, **kwargs)
        run, *inputs = args
        return run(context.module.seen(), *inputs, **{name: x for name, x in kwargs.items() if name != "update"})

    def run(*args: Any, **kwargs: Any) -> Any:
        with nn.intercept_methods(dense):
            return fn(*args, **kwargs)

    return run
