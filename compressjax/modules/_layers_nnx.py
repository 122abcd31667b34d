"""Layers of Flax NNX with a compression of their own, in the places of those without."""

from typing import Any

import jax
from flax import nnx

from compressjax.core import Compression
from compressjax.modules._joined import doubled, joined
from compressjax.modules._nnx import CompressionState, NNXViewed, stored


class _Layer(NNXViewed):
    """The forward pass of the dense layer, seen through the compression where there is one."""

    def __init__(self, *args: Any, compression: Compression | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.compression = compression
        if compression is not None:
            self.compression_state = CompressionState(compression.init(nnx.state(self, nnx.Param)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The dense layer's forward pass on the viewed parameters."""
        # The copy that `through` makes is of this class; its plain pass is the next one in the order of classes.
        return self.through(lambda seen: super(_Layer, seen).__call__(*args, **kwargs))  # noqa: UP008


class NNXLinear(_Layer, nnx.Linear):
    """`flax.nnx.Linear` whose parameters are seen through a compression.

    .. math:: y = x \\cdot view(W, s) + b

    Takes the place of `nnx.Linear` in a module: names and shapes of the parameters are the same. The state is the
    variable `compression_state`, which optimizers of `nnx.Param` do not touch. For the optimizer, `nnx_compression_of`
    joins the compressions of all layers of a model. Bytes and speed are those of the compression.

    Args:
        *args: As for `nnx.Linear`.
        compression: Any compression, acting on `kernel`; a plain layer when None. Two layers with random methods want
            two keys.
        **kwargs: As for `nnx.Linear`.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from compressjax import as_optax, modules, prune
        >>> class Net(nnx.Module):
        ...     def __init__(self, rngs):
        ...         self.first = modules.NNXLinear(3, 4, compression=prune.gradual(0.75, end=2, every=1), rngs=rngs)
        ...         self.second = nnx.Linear(4, 2, rngs=rngs)
        ...
        ...     def __call__(self, x):
        ...         return self.second(nnx.relu(self.first(x)))
        >>> net = Net(nnx.Rngs(0))
        >>> optimizer = nnx.Optimizer(net, as_optax(modules.nnx_compression_of(net), optax.adam(0.1)), wrt=nnx.Param)
        >>> @nnx.jit
        ... def step(net, optimizer, x):
        ...     optimizer.update(net, nnx.grad(lambda net: jnp.mean(net(x) ** 2))(net))
        ...     modules.nnx_set_compression(net, optimizer.opt_state.compression)
        >>> for _ in range(2):
        ...     step(net, optimizer, jnp.ones((5, 3)))
        >>> int(net.first.compression_state.get_value().masks["kernel"].sum())
        3
        >>> type(modules.nnx_encode(net)["params"]["first"]["kernel"]).__name__
        'Masked'
    """


class NNXLinearGeneral(_Layer, nnx.LinearGeneral):
    """`flax.nnx.LinearGeneral` whose parameters are seen through a compression; see `NNXLinear`.

    Example:
        >>> from compressjax import quant
        >>> NNXLinearGeneral(3, (2, 4), compression=quant.fake_quant(8), rngs=nnx.Rngs(0)).kernel.shape
        (3, 2, 4)
    """


class NNXConv(_Layer, nnx.Conv):
    """`flax.nnx.Conv` whose parameters are seen through a compression; see `NNXLinear`.

    Example:
        >>> from compressjax import quant
        >>> NNXConv(2, 4, (3, 3), compression=quant.fake_quant(8), rngs=nnx.Rngs(0)).kernel.shape
        (3, 3, 2, 4)
    """


class NNXEmbed(_Layer, nnx.Embed):
    """`flax.nnx.Embed` whose table is seen through a compression, in look-ups and in `attend`; see `NNXLinear`.

    Example:
        >>> from compressjax import quant
        >>> NNXEmbed(5, 4, compression=quant.fake_quant(8), rngs=nnx.Rngs(0)).embedding.shape
        (5, 4)
    """

    def attend(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Scores of all rows against queries `[..., features]`, on the viewed table."""
        return self.through(lambda seen: nnx.Embed.attend(seen, query, *args, **kwargs))


def nnx_layers(model: nnx.Module) -> dict[str, NNXViewed]:
    """The layers and wrappers of an NNX model that have a compression.

    Args:
        model: Any NNX module.

    Returns:
        `{path: layer}`; the empty path is the model itself. The path of a wrapper is that of what it wraps.

    Raises:
        ValueError: If a wrapper and what it wraps have a compression each.

    Example:
        >>> from compressjax import quant
        >>> list(nnx_layers(nnx.List([NNXLinear(2, 2, compression=quant.fake_quant(8), rngs=nnx.Rngs(0))])))
        ['0']
    """
    found = {}
    for path, node in nnx.iter_graph(model):
        if isinstance(node, NNXViewed) and node.compression is not None:
            inner = () if node.seen() is node else ("module",)
            name = "/".join(map(str, (*path, *inner)))
            if name in found:
                raise doubled(name)
            found[name] = node
    return found


def nnx_compression_of(model: nnx.Module) -> Compression:
    """Joins the compressions that the layers of an NNX model bring, for `as_optax`.

    .. math:: view(\\theta, s)_l = view_l(\\theta_l, s_l) \\quad \\text{for every layer } l

    Args:
        model: An NNX module with layers of `modules` (`NNXLinear`, `NNXConv`, ...) or wrappers (`NNXCompressed`).

    Returns:
        A compression of `nnx.state(model, nnx.Param)`, whose state is `{path of the layer: its state}`.

    Raises:
        ValueError: If no layer of the model has a compression, or one lies inside another.

    Example:
        >>> from compressjax import quant
        >>> model = nnx.List([NNXLinear(2, 2, compression=quant.fake_quant(8), rngs=nnx.Rngs(0))])
        >>> nnx_compression_of(model).name
        '0: fake_quant(bits=8, granularity=channel)'
    """
    return joined({path: layer.own() for path, layer in nnx_layers(model).items()}, type(model).__name__)


def nnx_set_compression(model: nnx.Module, state: Any) -> None:
    """Hands every layer its part of the state that `as_optax` keeps.

    Args:
        model: An NNX module with layers.
        state: `optimizer.opt_state.compression`.

    Raises:
        ValueError: If a layer holds a state of other shapes, as under `nnx.vmap`.

    Example:
        >>> from compressjax import quant
        >>> model = nnx.List([NNXLinear(2, 2, compression=quant.fake_quant(8), rngs=nnx.Rngs(0))])
        >>> nnx_set_compression(model, nnx_compression_of(model).init(nnx.state(model, nnx.Param)))
    """
    layers = nnx_layers(model)
    for path, layer in layers.items():
        own = state[path] if path else state
        held, given = (
            [tuple(leaf.shape) for leaf in jax.tree.leaves(part)] for part in (layer.compression_state.get_value(), own)
        )
        if held != given:
            raise ValueError(
                f"the layer {path!r} holds a state with shapes {held}, and was given {given}; layers made under "
                "nnx.vmap cannot be joined, wrap the whole model in modules.NNXCompressed"
            )
        layer.set_compression(own)


def nnx_encode(model: nnx.Module) -> dict[str, Any]:
    """What to store after training a model of layers.

    Args:
        model: An NNX module with layers.

    Returns:
        `{"params": tree of arrays and nodes, "rest": other variables}`, as from `NNXCompressed.encode`.

    Raises:
        ValueError: If no layer has a compression.

    Example:
        >>> from compressjax import quant
        >>> model = nnx.List([NNXLinear(2, 2, compression=quant.fake_quant(8), rngs=nnx.Rngs(0))])
        >>> type(nnx_encode(model)["params"][0]["kernel"]).__name__
        'Quantized'
    """
    compression, layers = nnx_compression_of(model), nnx_layers(model)
    states = {path: layer.compression_state.get_value() for path, layer in layers.items()}
    params, rest = stored(model)
    return {"params": compression.encode(params, states.get("", states)), "rest": rest}
