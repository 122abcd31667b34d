"""Learned step size quantization (LSQ): the scales are trained with the weights."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax.core import Compression
from compressjax.quant.grids._blocks import block_shape
from compressjax.quant.grids._grid import Grid, make_grid
from compressjax.quant.grids._quantize import place
from compressjax.quant.grids._scales import mean_of_blocks
from compressjax.quant.grids._stored import SMALLEST, shorten
from compressjax.quant.training._learned import Rounding, learned_grid
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import expand_blocks, storage_order


def lsq(
    bits: int | str | Grid = 4,
    *,
    granularity: str | int | tuple[int, int] | None = None,
    axis: int | tuple[int, ...] | None = None,
    order: tuple[int, ...] | None = None,
    activation: str | None = None,
    fallback: str = "skip",
    optimizer: optax.GradientTransformation | None = None,
) -> Compression:
    """Trains weights through rounding, and the step sizes of the grid by their own gradient (LSQ).

    .. math:: \\hat W = s\\,\\bar v, \\quad \\bar v = round(clip(W / s, -Q_N, Q_P)), \\qquad
        \\frac{\\partial \\hat W}{\\partial s} = \\bar v - \\frac{W}{s} [-Q_N < W / s < Q_P], \\quad
        g_s = \\frac{1}{\\sqrt{N Q_P}} \\sum g\\,\\frac{\\partial \\hat W}{\\partial s}

    with `g` the gradient of the view, `Q_N = 2^(b-1)`, `Q_P = 2^(b-1) - 1`, and N weights per step size, which starts
    at `2 mean|W| / sqrt(Q_P)`. Weights get the straight-through gradient inside of the range. Bytes and speed are those
    of `rtn`.

    Args:
        bits: Bits of an integer grid, 2 to 8, or a ready symmetric `grid`.
        granularity: As for `grid`; the paper has one step size a tensor.
        axis: As for `grid`.
        order: As for `grid`.
        activation: `"dynamic"` or None; stored in the nodes for inference.
        fallback: As for `grid`.
        optimizer: Optimizer of the step sizes; `optax.adam(1e-4)` if None.

    Returns:
        Compression whose nodes are `Quantized`.

    Raises:
        ValueError: If a setting is out of range, or the grid is not a symmetric one of integers.

    Example:
        >>> qat = lsq(2, granularity="tensor")
        >>> params = {"kernel": jnp.array([[1.0], [0.0], [-3.5]])}
        >>> qat.view(params, qat.init(params))["kernel"].ravel().tolist()
        [0.0, 0.0, -3.0]

    Source: Esser et al., arXiv:1902.08153 (esser2020).
    """
    grid = make_grid("lsq", bits, granularity, True, axis, order, activation, None, fallback)
    if grid.form.kind != "int" or not grid.symmetric or grid.scale != "float32" or grid.activation == "static":
        raise ValueError(
            f"lsq: the grid {grid} must be a symmetric one of integers with float32 scales and without static "
            "activations; use fake_quant"
        )
    low, high = -(2.0 ** (grid.bits - 1)), 2.0 ** (grid.bits - 1) - 1

    def start(path: str, x: jax.Array) -> jax.Array:
        blocks = block_shape(path, x.shape, grid)
        return settle(mean_of_blocks(jnp.abs(x), blocks) * np.float32(2 / math.sqrt(high)))

    def settle(step: jax.Array) -> jax.Array:
        # Few digits make products with codes exact; a step of zero or less has no grid.
        return shorten(jnp.maximum(step, SMALLEST))

    def node(path: str, x: jax.Array, step: jax.Array) -> Quantized:
        held, _ = place(path, x, grid, step, None)
        codes = jnp.round(jnp.clip(_scaled(x, step), low, high)).astype(jnp.int8)
        return held.replace(codes=jnp.transpose(codes, storage_order(x.ndim, held.order)))

    def pull(path: str, x: jax.Array, step: jax.Array, g: jax.Array) -> tuple[jax.Array, jax.Array]:
        v = _scaled(x, step)
        inside = (v > low) & (v < high)
        slope = g * jnp.where(inside, jnp.round(v) - v, jnp.clip(v, low, high))
        count = math.prod(x.shape) / max(math.prod(step.shape), 1)
        total = mean_of_blocks(slope, step.shape) * np.float32(math.sqrt(max(count, 1) / high))
        return jnp.where(inside, g, 0.0), total

    moves = optax.adam(1e-4) if optimizer is None else optimizer
    return learned_grid("lsq", f"lsq({grid})", Rounding(start, node, pull, settle), moves)


def _scaled(x: jax.Array, step: jax.Array) -> jax.Array:
    return x.astype(jnp.float32) / expand_blocks(step, x.shape, x)
