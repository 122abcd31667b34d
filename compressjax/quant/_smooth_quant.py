"""SmoothQuant: moves outliers of the inputs into the weights."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from compressjax.core import Compression
from compressjax.core._settings import as_number
from compressjax.quant._equivalent import Reader, safe, scaled_inputs
from compressjax.quant._grid import Grid, best_ratio, make_grid


def smooth_quant(
    alpha: float = 0.5,
    bits: int | str | Grid = 8,
    *,
    granularity: str | int | tuple[int, int] | None = None,
    symmetric: bool = True,
    activation: str | None = "dynamic",
    axis: int | tuple[int, ...] | None = None,
    order: tuple[int, ...] | None = None,
    clip: str | None = None,
    fallback: str = "skip",
    shared: Iterable[Iterable[str]] = (),
) -> Compression:
    """Divides every input by a scale that the weights take, so that both round well.

    .. math:: s_j = \\frac{\\max |x_j|^\\alpha}{\\max |W_{j\\cdot}|^{1 - \\alpha}}, \\qquad x W = (x / s) (s W)

    The node applies `1 / s` to the inputs at run time, for any function; `fold_scales` moves it into the layer before.
    Inputs and weights that are always zero keep the scale 1. A convolution has a scale per channel. Bytes are those of
    `rtn` and 4 per input; speed that of int8 with one multiplication per input more.

    Args:
        alpha: How much of the range moves, in [0, 1]: 0 equalizes the weights, 1 the inputs.
        bits: As for `rtn`: the bits, the name of a format, or a ready `grid`.
        granularity: As for `grid`.
        symmetric: As for `grid`.
        activation: As for `grid`.
        axis: As for `grid`.
        order: As for `grid`.
        clip: As for `grid`.
        fallback: As for `grid`.
        shared: Groups of value paths that read the same inputs and get one scale, which can then be folded:
            `[("q/kernel", "k/kernel", "v/kernel")]`.

    Returns:
        Compression whose nodes are `Scaled(Quantized)`; pass `stats=` to `compress`.

    Raises:
        ValueError: If a setting is out of range; from `encode`, if statistics or `shared` do not fit the leaves.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.interpret import observe
        >>> params = {"kernel": jnp.ones((2, 1))}
        >>> _, stats = observe(lambda p, x: x @ p["kernel"])(params, jnp.array([[4.0, 100.0]]))
        >>> compress(params, {".*": smooth_quant()}, stats, on_unchanged="ignore")["kernel"].scale.ravel().tolist()
        [0.5, 0.10000000149011612]

    Source: Xiao et al., arXiv:2211.10438 (xiao2023).
    """
    if isinstance(bits, Grid) and activation == "dynamic":
        activation = None
    grid = make_grid("smooth_quant", bits, granularity, symmetric, axis, order, activation, clip, fallback)
    if not 0 <= as_number("smooth_quant", "alpha", alpha) <= 1:
        raise ValueError(f"smooth_quant: alpha={alpha} must be between 0 and 1; 0.5 is usual")

    def choose(readers: list[Reader]) -> jax.Array:
        largest = jnp.max(jnp.stack([reader.largest() for reader in readers]), axis=0)
        weights = jnp.max(jnp.stack([reader.largest_weights() for reader in readers]), axis=0)
        return safe(largest**alpha / weights ** (1 - alpha), (largest > 0) & (weights > 0))

    def ratio(reader: Reader, scale: jax.Array) -> jax.Array | None:
        return best_ratio(reader.path, reader.kernel * reader.on_leaf(scale).astype(reader.kernel.dtype), grid)

    return scaled_inputs(f"smooth_quant({grid}, alpha={alpha})", grid, ("largest",), shared, choose, ratio)
