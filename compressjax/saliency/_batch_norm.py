"""BatchNorm scale: the network's own switch of every channel."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from compressjax.core import Selector, matches, values
from compressjax.saliency._contract import Saliency, Scores, wide


def batch_norm(follows: Mapping[str, str] | None = None, *, select: Selector = r".*\bscale") -> Saliency:
    """Scores a channel by the size of the scale that normalization gives it.

    .. math:: s_c = |\\gamma_c|

    Trained with an l1 penalty on the scales (network slimming), channels that do not matter have scales near zero.

    Costs nothing: the scales are there, and are read once. What it buys is that of whole channels: positions next to
    nothing, and speed only once the channels are cut out of the arrays (`structure.shrink` with `"norm_scale"`).

    Args:
        follows: `{path of a kernel: path of the scale behind it}`: all weights of a kernel's output channel (its last
            axis) get the channel's score. Without, only the scales themselves have scores, which is all that cutting
            coupled units needs.
        select: The scales.

    Returns:
        Saliency of the scales and of the kernels before them; its scales are compared over all groups.

    Raises:
        ValueError: From `score`, if there are no scales, or a kernel's last axis does not have the scale's length.

    Example:
        >>> params = {"conv": jnp.ones((1, 2)), "bn": {"scale": jnp.array([0.5, -2.0])}}
        >>> batch_norm({"conv": "bn/scale"}).score(params)["conv"].tolist()
        [[0.5, 2.0]]

    Source: Liu et al., arXiv:1708.06519 (liu2017).
    """
    pairs = dict(follows or {})

    def score(params: Any, stats: Any = None) -> Scores:
        del stats
        flat = values(params)
        scales = {path: jnp.abs(wide(x)) for path, x in flat.items() if matches(select, path, x)}
        if not scales:
            raise ValueError(f"batch_norm: select={select!r} selects nothing; the tree has {sorted(flat)}")
        found = dict(scales)
        for kernel, scale in pairs.items():
            if kernel not in flat or scale not in scales or flat[kernel].shape[-1:] != scales[scale].shape:
                raise ValueError(
                    f"batch_norm: {kernel!r} does not end in the channels of {scale!r}; the tree has "
                    f"{ {path: tuple(x.shape) for path, x in flat.items()} }"
                )
            shape = flat[kernel].shape
            found[kernel] = jnp.broadcast_to(scales[scale].reshape((1,) * (len(shape) - 1) + (-1,)), shape)
        return found

    return Saliency(score, "batch_norm", comparable=True)
