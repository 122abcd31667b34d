"""Round to nearest: quantization without training."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, from_encode
from compressjax.core._unfit import UnfitError
from compressjax.quant._grid import Grid, best_ratio, check_range, make_grid, quantize
from compressjax.tensors import Quantized


def rtn(
    bits: int | str | Grid = 8,
    *,
    granularity: str | int | tuple[int, int] | None = None,
    symmetric: bool = True,
    activation: str | None = None,
    order: tuple[int, ...] | None = None,
    axis: int | tuple[int, ...] | None = None,
    clip: str | tuple[str, float] | None = None,
    fallback: str = "skip",
    scale: str | None = None,
    second: str | int | None = None,
    key: jax.Array | None = None,
) -> Compression:
    """Rounds every weight to the nearest point of a grid.

    .. math:: q = clip(round(W / s) + z), \\qquad \\hat W = s\\,(q - z)

    with `s = max|W| / (2^(b-1) - 1)`, `z = 0` (symmetric), or the range of W and 0 over `2^b - 1` steps (affine; zero
    stays exactly zero). Scales have 16 significant bits, which makes `s (q - z)` exact in float32. Other formats
    (`"nf4"`, `"mxfp4"`, `"ternary"`, ...) are those of `grid`.

    Takes `bits / 32` of the bytes, plus 4 bytes per scale. On CPUs, 8-bit products with int8 activations are several
    times faster than float32; products with float activations are not faster.

    Args:
        bits: 2 to 8, the name of a format, or a ready `grid`, which then holds all settings.
        granularity: As for `grid`.
        symmetric: As for `grid`.
        activation: As for `grid`.
        order: As for `grid`.
        axis: As for `grid`.
        clip: As for `grid`.
        fallback: As for `grid`.
        scale: As for `grid`.
        second: As for `grid`.
        key: Rounds by chance, right on average: :math:`q = \\lfloor W / s + u \\rfloor`, with `u` uniform in `[0, 1)`.
            The draw depends on the key and the path of the leaf only. Integer formats only.

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
    grid = make_grid(
        "rtn", bits, granularity, symmetric, axis, order, activation, clip, fallback, scale=scale, second=second
    )
    if key is not None and grid.form.kind != "int":
        raise ValueError(f"rtn: key= rounds integers by chance; {grid.format} has none: leave it out, or use int8")

    def encode(path: str, x: jax.Array, stats: Any) -> Quantized:
        absmax = None
        if grid.activation == "static":
            if stats is None:
                raise UnfitError("rtn", {path: "static activations need statistics of observe, and it has none"})
            # Stacked layers have one largest input each; the node has one scale.
            absmax = jnp.max(stats.absmax)
            check_range("rtn", path, absmax)
        return quantize(path, x, grid, best_ratio(path, x, grid), absmax, key)[0]

    needs = ("absmax",) if grid.activation == "static" else ()
    return from_encode(f"rtn({grid})", encode, needs=needs)
