"""Ranges of activations from the histograms that `observe` counts."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int
from compressjax.numerics._histogram import bin_centers
from compressjax.quant.grids._grid import Clip
from compressjax.quant.grids._ranges import ranges

METHODS = ("mse", "octav", "kl", "percentile")
_RATIOS = np.geomspace(1.0, 0.05, 60, dtype=np.float32)


def clip_activations(stats: Mapping[str, Any], clip: Clip = "mse", *, bits: int = 8) -> dict[str, Any]:
    """Lowers the ranges of statistics where clipping outliers lowers the error of rounding activations.

    .. math:: c = \\arg\\min_c \\sum_b n_b \\left(x_b - s\\,clip(round(x_b / s), 0, 2^{b-1} - 1)\\right)^2, \\quad
        s = \\frac{c}{2^{b-1} - 1}

    for `"mse"`, over the bins of the histogram. Every method with static activations then takes `c` as the largest
    input. Histograms of batches and hosts add up exactly with `merge`. `calibrate(clip=)` does this leaf by leaf.

    Args:
        stats: `{path: statistics}` of `observe(fn, histogram=True)`.
        clip: `"mse"`; `"octav"`, the fixed point of Newton's recursion; `"kl"`, the least relative entropy;
            `("percentile", 99.9)`.
        bits: Bits of the activations.

    Returns:
        Statistics whose `largest` is at most `c`.

    Raises:
        ValueError: If the clip is unknown, or statistics of a leaf have no histogram or have seen only zeros.

    Example:
        >>> from compressjax.interpret import observe
        >>> x = jnp.concatenate([jnp.linspace(-1.0, 1.0, 999), jnp.array([3.0])])[:, None]
        >>> _, stats = observe(lambda p, x: x @ p["w"], histogram=True)({"w": jnp.ones((1, 1))}, x)
        >>> bool(clip_activations(stats, ("percentile", 99.0))["w"].absmax < 1.1)
        True

    Source: Sakr et al., arXiv:2206.06501 (sakr2022), for `"octav"`.
    """
    check_clip("clip_activations", clip)
    bits = as_int("clip_activations", "bits", bits)
    return {path: _clipped(path, found, clip, bits) for path, found in stats.items()}


def check_clip(who: str, clip: Clip) -> None:
    """Refuses an unknown method."""
    name = clip[0] if isinstance(clip, tuple) else clip
    if name not in METHODS:
        raise ValueError(f"{who}: clip={clip!r} must be one of {METHODS}, such as ('percentile', 99.9)")


def _clipped(path: str, stats: Any, clip: Clip, bits: int) -> Any:
    if getattr(stats, "histogram", None) is None:
        raise ValueError(f"clip_activations: {path!r} has no histogram; observe with histogram=True")
    counts = stats.histogram
    centers = jnp.broadcast_to(bin_centers(), counts.shape)
    most = ranges(path, centers, counts, "absmax", bits)
    found = _least_error(centers, counts, most, bits) if clip == "mse" else ranges(path, centers, counts, clip, bits)
    return stats.replace(largest=jnp.minimum(stats.largest, found[..., None]))


def _least_error(centers: jax.Array, counts: jax.Array, most: jax.Array, bits: int) -> jax.Array:
    levels = 2 ** (bits - 1) - 1

    def error(ratio: jax.Array) -> jax.Array:
        step = (most * ratio / levels)[..., None]
        wrong = centers - step * jnp.clip(jnp.round(centers / step), 0, levels)
        # Squares of the last bins overflow.
        return jnp.sum(jnp.where(counts > 0, counts * jnp.square(wrong), 0.0), axis=-1)

    return most * jnp.asarray(_RATIOS)[jnp.argmin(jax.lax.map(error, jnp.asarray(_RATIOS)), axis=0)]
