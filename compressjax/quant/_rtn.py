"""Round to nearest: quantization without training."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, from_encode
from compressjax.core._unfit import UnfitError
from compressjax.quant._grid import best_ratio, check_range, make_grid, quantize
from compressjax.tensors import Quantized


def rtn(
    bits: int = 8,
    *,
    granularity: str | int = "channel",
    symmetric: bool = True,
    activation: str | None = None,
    order: tuple[int, ...] | None = None,
    axis: int | tuple[int, ...] | None = None,
    clip: str = "absmax",
    fallback: str = "skip",
) -> Compression:
    """Rounds every weight to the nearest point of an integer grid.

    .. math:: q = clip(round(W / s) + z), \\qquad \\hat W = s\\,(q - z)

    with `s = max|W| / (2^(b-1) - 1)`, `z = 0` (symmetric), or the range of W and 0 over `2^b - 1` steps (affine; zero
    stays exactly zero). Scales have 16 significant bits, which makes `s (q - z)` exact in float32.

    Takes `bits / 32` of the bytes, plus 4 bytes per scale. On CPUs, 8-bit products with int8 activations are several
    times faster than float32; products with float activations are not faster.

    Args:
        bits: 2 to 8.
        granularity: `"channel"`, a scale per index of `axis`; `"tensor"`, one scale; or a group size, a scale per group
            of inputs.
        symmetric: False adds a zero point, which helps for skewed weights.
        activation: None, `"dynamic"` (int8, a scale per row at run time) or `"static"` (int8, one scale from the
            statistics of `observe`).
        order: Stored order of the trailing axes; None gives `(1, 0)` for `[in, out]` kernels and `()` otherwise.
        axis: Axis or axes with separate scales, such as 0 for rows of an embedding; groups then run along the last
            other axis. None follows the layout: scales for layers and outputs, the last axis without a layout.
        clip: `"absmax"`, or `"mse"` to shrink the range of each block by the ratio with the least squared error.
        fallback: What happens to leaves whose inputs the group size does not divide: `"skip"` leaves them out,
            `"divisor"` takes the largest divisor below it (whole channels if that is below 8), `"channel"` takes whole
            channels, `"raise"` refuses.

    Returns:
        Compression whose nodes are `Quantized`; its gradient is straight-through.

    Raises:
        ValueError: If a setting is out of range; from `encode`, if a leaf is not finite, or static activations
            have no statistics.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.core import compress
        >>> compress({"kernel": jnp.array([[127.0], [-2.2]])}, {".*": rtn(8)})["kernel"].codes.tolist()
        [[127, -2]]

    Source: Jacob et al., arXiv:1712.05877 (jacob2018).
    """
    grid = make_grid("rtn", bits, granularity, symmetric, axis, order, activation, clip, fallback)

    def encode(path: str, x: jax.Array, stats: Any) -> Quantized:
        absmax = None
        if activation == "static":
            if stats is None:
                raise UnfitError("rtn", {path: "static activations need statistics of observe, and it has none"})
            # Stacked layers have one largest input each; the node has one scale.
            absmax = jnp.max(stats.absmax)
            check_range("rtn", path, absmax)
        ratio = best_ratio(path, x, grid) if clip == "mse" else None
        return quantize(path, x, grid, ratio, absmax)[0]

    needs = ("absmax",) if activation == "static" else ()
    return from_encode(f"rtn(bits={bits}, granularity={granularity})", encode, needs=needs)
