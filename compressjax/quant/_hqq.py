"""HQQ: zero points by half-quadratic splitting, without data."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, from_encode
from compressjax.core._settings import as_int, as_number
from compressjax.numerics._explicit import block_sharding, explicit, with_shardings
from compressjax.numerics._numerics import wide
from compressjax.quant._grid import Grid, block_shape, fit, make_grid, place
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import expand_blocks


def hqq(
    bits: int | str | Grid = 4,
    *,
    granularity: str | int | tuple[int, int] | None = 64,
    axis: int | tuple[int, ...] | None = None,
    order: tuple[int, ...] | None = None,
    fallback: str = "skip",
    p: float = 0.7,
    beta: float = 10.0,
    kappa: float = 1.01,
    iterations: int = 20,
) -> Compression:
    """Moves the zero point of every block so that the sparse norm of the error is small; needs no data.

    .. math:: \\min_{z, E} \\|E\\|_p^p + \\tfrac{\\beta}{2} \\|E - (W - \\hat W_z)\\|_2^2, \\quad
        E \\leftarrow \\mathrm{sign}(D) \\max(|D| - |D|^{p - 1} / \\beta, 0), \\quad
        z \\leftarrow \\mathrm{mean}(q - (W - E) / s)

    with `D = W - s (q - z)`, the scale of the range of the block, and `beta` growing by `kappa`. Every block keeps the
    zero point with the least `sum |D|^p`. Zero points are floats, so zeros do not stay exactly zero. Bytes are those of
    an affine `rtn`; weights only.

    Args:
        bits: As for `rtn`: the bits, the name of an integer format, or a ready affine `grid`.
        granularity: As for `grid`.
        axis: As for `grid`.
        order: As for `grid`.
        fallback: As for `grid`.
        p: Exponent of the norm, in (0, 1].
        beta: First weight of the quadratic term, above 0.
        kappa: Factor of `beta` at every iteration, at least 1.
        iterations: Number of iterations, at least 1.

    Returns:
        Compression whose nodes are `Quantized` with float zero points.

    Raises:
        ValueError: If a setting is out of range, or the grid is symmetric or has integer activations.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.linspace(-1.0, 2.0, 16).reshape(16, 1)
        >>> node = compress({"kernel": kernel}, {".*": hqq(4, granularity="channel")})["kernel"]
        >>> bool(jnp.max(jnp.abs(node.materialize() - kernel)) < 0.01)
        True

    Source: Badri and Shaji, Half-Quadratic Quantization of Large Machine Learning Models, 2023 (badri2023).
    """
    symmetric = bits.symmetric if isinstance(bits, Grid) else False
    grid = bits if isinstance(bits, Grid) else make_grid(
        "hqq", bits, granularity, False, axis, order, None, None, fallback
    )  # fmt: skip
    if symmetric or grid.form.kind != "int" or grid.scale != "float32" or grid.activation is not None:
        raise ValueError(
            "hqq: the grid must be affine, of integers, with float32 scales and without integer activations; pass "
            f"grid(4, symmetric=False), not {grid}"
        )
    for name, value, fine in (("p", p, 0 < p <= 1), ("beta", beta, beta > 0), ("kappa", kappa, kappa >= 1)):
        if not fine:
            raise ValueError(f"hqq: {name}={as_number('hqq', name, value)} is out of range; 0.7, 10 and 1.01 are usual")
    if as_int("hqq", "iterations", iterations) < 1:
        raise ValueError(f"hqq: iterations={iterations} must be at least 1; 20 is usual")
    rule = (float(p), float(beta), float(kappa), int(iterations))

    def encode(path: str, x: jax.Array, stats: Any) -> Quantized:
        del stats
        blocks = block_shape(path, x.shape, grid)
        by_block = block_sharding(x, blocks)
        codes, scale, zero = with_shardings(
            lambda x: _solve(x, blocks, grid, rule), (explicit(jax.typeof(x)), by_block, by_block)
        )(x)
        # On a grid of its own codes: the zero point goes in as it is, because codes are final.
        node = place(path, codes * jnp.broadcast_to(expand_blocks(scale, x.shape), x.shape), grid, scale,
                     jnp.zeros(scale.shape, jnp.int32))[0]  # fmt: skip
        return node.convert(x.dtype).replace(zero_point=zero)

    return from_encode(f"hqq({grid})", encode)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _solve(
    x: jax.Array, blocks: tuple[int, ...], grid: Grid, rule: tuple[float, float, float, int]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Codes, scales and zero points."""
    p, beta, kappa, iterations = rule
    weights = wide(x).astype(jnp.float32)
    scale, start = fit(weights, blocks, grid)
    tiled = [n for b, d in zip(blocks, x.shape) for n in (b, d // max(b, 1))]
    inner = tuple(range(1, len(tiled), 2))
    spread = jnp.broadcast_to(expand_blocks(scale, x.shape), x.shape)

    def codes(zero: jax.Array) -> tuple[jax.Array, jax.Array]:
        z = jnp.broadcast_to(expand_blocks(zero, x.shape), x.shape)
        found = jnp.clip(jnp.round(weights / spread + z), 0, 2**grid.bits - 1)
        return found, weights - spread * (found - z)

    def cost(wrong: jax.Array) -> jax.Array:
        return jnp.sum((jnp.abs(wrong) ** p).reshape(tiled), axis=inner)

    def step(i: jax.Array, carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        zero, best, least = carry
        found, wrong = codes(zero)
        size = jnp.abs(wrong)
        shrunk = size - jnp.where(size > 0, size, 1.0) ** (p - 1) / (beta * kappa ** i.astype(jnp.float32))
        sparse = jnp.where(size > 0, jnp.sign(wrong) * jnp.maximum(shrunk, 0.0), 0.0)
        zero = jnp.mean((found - (weights - sparse) / spread).reshape(tiled), axis=inner)
        now = cost(codes(zero)[1])
        return zero, jnp.where(now < least, zero, best), jnp.minimum(now, least)

    first = start.astype(jnp.float32) if start is not None else jnp.zeros_like(scale)
    _, zero, _ = jax.lax.fori_loop(0, iterations, step, (first, first, cost(codes(first)[1])))
    return codes(zero)[0], scale, zero
