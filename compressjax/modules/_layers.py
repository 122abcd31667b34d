"""Layers of Flax Linen with a compression of their own, in the places of those without."""

from typing import Any

import flax.linen as nn

from compressjax.core import Compression
from compressjax.modules._linen import Viewed


class _Layer(Viewed):
    """The forward pass of the dense layer, seen through the compression where there is one."""

    def __call__(self, *args: Any, update: bool = False, **kwargs: Any) -> Any:
        """The dense layer's forward pass on the viewed parameters; arguments are as for `Compressed`."""
        return self.through(_dense, *args, update=update, **kwargs)


def _dense(layer: Any, *args: Any, **kwargs: Any) -> Any:
    # Of the class after `_Layer`: Flax's own.
    return super(_Layer, layer).__call__(*args, **kwargs)


class Dense(_Layer, nn.Dense):
    """`flax.linen.Dense` whose parameters are seen through a compression.

    .. math:: y = x \\cdot view(W, s) + b

    Takes the place of `nn.Dense` in a module: names and shapes of the parameters are the same, so a checkpoint of the
    dense model loads; the state is in the collection `compression`. For the optimizer, `compression_of` joins the
    compressions of all layers of a model. Bytes and speed are those of the compression.

    Attributes:
        compression: Any compression, acting on `kernel`; a plain layer when None. Two layers with random methods want
            two keys.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from compressjax import as_optax, modules, prune
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         x = nn.relu(modules.Dense(4, compression=prune.gradual(0.75, end=2, every=1))(x))
        ...         return nn.Dense(2)(x)
        >>> net, x = Net(), jnp.ones((5, 3))
        >>> variables = net.init(jax.random.key(0), x)
        >>> compression = modules.compression_of(net, x)
        >>> tx = as_optax(compression, optax.adam(0.1))
        >>> opt = tx.init(variables["params"])
        >>> for _ in range(2):
        ...     loss = lambda params: jnp.mean(net.apply({**variables, "params": params}, x) ** 2)
        ...     updates, opt = tx.update(jax.grad(loss)(variables["params"]), opt, variables["params"])
        ...     variables = {**variables, "params": optax.apply_updates(variables["params"], updates)}
        ...     variables = modules.with_state(variables, opt.compression)
        >>> int(variables["compression"]["Dense_0"]["masks"]["kernel"].sum())
        3
        >>> {
        ...     name: type(layer["kernel"]).__name__
        ...     for name, layer in modules.encode(variables, compression)["params"].items()
        ... }["Dense_0"]
        'Masked'
    """

    compression: Compression | None = None


class DenseGeneral(_Layer, nn.DenseGeneral):
    """`flax.linen.DenseGeneral` whose parameters are seen through a compression; see `Dense`.

    Attributes:
        compression: Any compression, acting on `kernel`; a plain layer when None.

    Example:
        >>> from compressjax import quant
        >>> DenseGeneral((2, 3), compression=quant.fake_quant(8)).features
        (2, 3)
    """

    compression: Compression | None = None


class Conv(_Layer, nn.Conv):
    """`flax.linen.Conv` whose parameters are seen through a compression; see `Dense`.

    Attributes:
        compression: Any compression, acting on `kernel`; a plain layer when None.

    Example:
        >>> from compressjax import quant
        >>> Conv(8, (3, 3), compression=quant.fake_quant(8)).kernel_size
        (3, 3)
    """

    compression: Compression | None = None


class Embed(_Layer, nn.Embed):
    """`flax.linen.Embed` whose table is seen through a compression, in look-ups and in `attend`; see `Dense`.

    Attributes:
        compression: Any compression, acting on `embedding`; a plain layer when None.

    Example:
        >>> from compressjax import quant
        >>> Embed(10, 4, compression=quant.fake_quant(8)).features
        4
    """

    compression: Compression | None = None

    def attend(self, query: Any) -> Any:
        """Scores of all rows against queries `[..., features]`, on the viewed table."""
        return self.through(nn.Embed.attend, query)
