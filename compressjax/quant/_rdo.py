"""Rounding that weighs errors against the bits of codes."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, from_encode
from compressjax.core._settings import as_int, as_number
from compressjax.numerics import with_auto_axes
from compressjax.numerics._numerics import wide
from compressjax.quant._grid import Grid, best_ratio, make_grid, quantize
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import expand_blocks, storage_order


def rdo(
    bits: int = 4,
    *,
    slope: float = 0.1,
    granularity: str | int | tuple[int, int] | None = None,
    importance: Mapping[str, Any] | None = None,
    iterations: int = 5,
) -> Compression:
    """Rounds every weight to the code with the least error plus a price for its bits.

    .. math:: q_i = \\arg\\min_{q \\in \\{r_i,\\; r_i - \\mathrm{sign}\\, r_i,\\; 0\\}}
        h_i (w_i / s - q)^2 + \\lambda \\ell_q, \\qquad \\ell_q = -\\log_2 \\frac{n_q}{n}

    where `r` rounds to nearest and the lengths follow from the counts of the leaf, again and again. Weights
    move to smaller and more frequent codes, many to zero, so the file is shorter after entropy coding. In memory it is
    a grid as that of `rtn`. At `slope=0` it is `rtn`.

    Args:
        bits: 2 to 8.
        slope: lambda, squared steps that a bit is worth, at least 0. Along the optimum of fine grids, a bit is worth
            about 0.12; larger values trade accuracy for bytes.
        granularity: As for `grid`. One scale a leaf (`"tensor"`) lets scales of channels show in the codes, where the
            codec `context` of files finds them.
        importance: `{path: h}` with an array at least 0 of the leaf's shape, such as the Fisher information; it is
            divided by its mean. None for 1.
        iterations: Of choosing codes and counting them, at least 1.

    Returns:
        Compression whose nodes are `Quantized`; its gradient is straight-through.

    Raises:
        ValueError: If a setting is out of range; from `encode`, if a leaf is not finite, or its importance is missing.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.array([[7.0, 0.6, 0.0, 0.0, 0.1, 0.0]])
        >>> plain, short = (compress({"w": kernel}, {"w": rdo(4, slope=s, granularity="tensor")}) for s in (0.0, 0.2))
        >>> plain["w"].materialize().tolist(), short["w"].materialize().tolist()
        ([[7.0, 1.0, 0.0, 0.0, 0.0, 0.0]], [[7.0, 0.0, 0.0, 0.0, 0.0, 0.0]])

    Source: Wiedemann et al., DeepCABAC, arXiv:1907.11900 (wiedemann2020).
    """
    if not 2 <= as_int("rdo", "bits", bits) <= 8:
        raise ValueError(f"rdo: bits={bits} must be from 2 to 8")
    if not 0 <= as_number("rdo", "slope", slope) < float("inf"):
        raise ValueError(f"rdo: slope={slope} must be finite and at least 0; 0.1 is usual")
    if as_int("rdo", "iterations", iterations) < 1:
        raise ValueError(f"rdo: iterations={iterations} must be at least 1")
    grid = make_grid("rdo", int(bits), granularity, True, None, None, None, None, "skip")

    def encode(path: str, x: jax.Array, stats: Any) -> Quantized:
        del stats
        if importance is not None and (path not in importance or tuple(importance[path].shape) != tuple(x.shape)):
            found = tuple(importance[path].shape) if path in importance else "none"
            raise ValueError(f"rdo: importance of {path!r} is {found}; give an array of its shape {tuple(x.shape)}")
        return _shorter(path, x, grid, None if importance is None else importance[path], float(slope), int(iterations))

    return from_encode(f"rdo({grid}, slope={slope})", encode)


def _shorter(path: str, x: jax.Array, grid: Grid, h: Any, slope: float, iterations: int) -> Quantized:
    node = quantize(path, x, grid, best_ratio(path, x, grid))[0]
    if not x.size:
        return node
    run = functools.partial(_choose, node.order, slope, iterations, 2 ** (node.bits - 1))
    codes = with_auto_axes(run, node.codes)(x, node.scale, node.codes, h)
    return node.replace(codes=codes)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3), inline=True)
def _choose(
    order: tuple[int, ...], slope: float, iterations: int, top: int, x: jax.Array, scale: Any, codes: jax.Array, h: Any
) -> jax.Array:
    """Codes of the same layout with less error and bits together."""
    places = storage_order(x.ndim, order)

    def stored(array: jax.Array) -> jax.Array:
        return jnp.transpose(array, places)

    steps = stored(wide(x).astype(jnp.float32) / jnp.maximum(expand_blocks(scale, x.shape), 1e-30))
    weights = jnp.ones((), jnp.float32)
    if h is not None:
        h = wide(jnp.asarray(h)).astype(jnp.float32)
        weights = stored(h / jnp.maximum(jnp.mean(h), 1e-30))
    nearest = codes.astype(jnp.int32)
    candidates = (nearest, nearest - jnp.sign(nearest), jnp.zeros_like(nearest))
    errors = [weights * jnp.square(steps - q.astype(jnp.float32)) for q in candidates]

    def again(_: Any, current: jax.Array) -> jax.Array:
        counts = jnp.bincount((current + top).ravel(), length=2 * top).astype(jnp.float32)
        lengths = -jnp.log2(jnp.maximum(counts, 0.5) / current.size)
        costs = jnp.stack([e + slope * lengths[q + top] for e, q in zip(errors, candidates, strict=True)])
        best = jnp.argmin(costs, axis=0)  # the nearest code among equals
        return jnp.select([best == 0, best == 1], candidates[:2], candidates[2])

    return jax.lax.fori_loop(0, iterations, again, nearest).astype(codes.dtype)
