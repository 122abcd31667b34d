"""BatchNorm scales as scores of channels."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from compressjax.core import Selector, matches, values
from compressjax.saliency._contract import Saliency, Scores, from_params, wide


def batch_norm(follows: Mapping[str, str] | None = None, *, select: Selector = r".*\bscale") -> Saliency:
    """Scores a channel by the magnitude of its normalization scale.

    .. math:: s_c = |\\gamma_c|

    Train with an l1 penalty on the scales (network slimming), so that scales of unimportant channels approach zero.

    Args:
        follows: `{path of a kernel: path of the scale after it}`; each output channel (last axis) of the kernel gets
            the score of its scale. By default only scales have scores, which is enough for `structure.shrink`.
        select: The scales.

    Returns:
        Saliency of the scales and of these kernels, comparable between groups.

    Raises:
        ValueError: From `score`, if there are no scales, or the last axis of a kernel does not match its scale.

    Example:
        >>> params = {"conv": jnp.ones((1, 2)), "bn": {"scale": jnp.array([0.5, -2.0])}}
        >>> batch_norm({"conv": "bn/scale"}).score(params)["conv"].tolist()
        [[0.5, 2.0]]

    Source: Liu et al., arXiv:1708.06519 (liu2017).
    """
    pairs = dict(follows or {})

    def score(params: Any) -> Scores:
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

    return from_params("batch_norm", score, comparable=True)
