"""Groups that a convolution of NNX has after a cut: counted from its shapes, or from the channels that enter it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def group_counts(layer: Any) -> list[int]:
    """Numbers of groups that a layer may have kept, its array cut and its attributes not.

    Whole groups are cut, and the same number of outputs in each that stays: n outputs are as many of any divisor of n
    groups, as far as neither groups nor outputs become more. Inputs within groups say nothing: the kernel has their
    number, of one group.

    Args:
        layer: An `nnx.Conv`.

    Returns:
        The numbers, ascending.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> layer = nnx.Conv(8, 8, (1,), feature_group_count=2, rngs=nnx.Rngs(0))
        >>> layer.kernel = nnx.Param(jnp.ones((1, 2, 6)))
        >>> group_counts(layer)
        [2]
    """
    outputs, groups = layer.kernel.shape[-1], layer.feature_group_count
    if groups == 1 or outputs == layer.out_features:  # none of them was cut, or the new numbers were set before
        return [groups]
    most = layer.out_features // groups
    return [n for n in range(1, groups + 1) if outputs % n == 0 and outputs // n <= most]


@contextlib.contextmanager
def counting(layers: Sequence[Any]) -> Iterator[None]:
    """Layers that run within have as many groups as fit what enters them, and keep that number.

    Args:
        layers: `nnx.Conv` layers, or those of a module that is called within as a copy of itself.

    Yields:
        Nothing.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> layer = nnx.Conv(8, 8, (1,), feature_group_count=2, rngs=nnx.Rngs(0))
        >>> layer.kernel, layer.bias = nnx.Param(jnp.ones((1, 4, 4))), nnx.Param(jnp.ones(4))
        >>> with counting([layer]):
        ...     layer(jnp.ones((1, 5, 4))).shape
        (1, 5, 4)
        >>> layer.feature_group_count
        1
    """
    found: dict[int, int] = {}

    def counted(place: int, convolve: Callable[..., Any]) -> Callable[..., Any]:
        def call(x: Any, kernel: Any, *args: Any, feature_group_count: int, **settings: Any) -> Any:
            groups = x.shape[-1] // kernel.shape[-2] or feature_group_count
            found[place] = groups
            return convolve(x, kernel, *args, feature_group_count=groups, **settings)

        return call

    plain = [layer.conv_general_dilated for layer in layers]
    for place, layer in enumerate(layers):
        layer.conv_general_dilated = counted(place, plain[place])
    try:
        yield
    finally:
        for layer, convolve in zip(layers, plain):
            layer.conv_general_dilated = convolve
    for place, groups in found.items():  # afterwards, as what is traced may not change a module outside
        layers[place].feature_group_count, layers[place].out_features = groups, layers[place].kernel.shape[-1]
