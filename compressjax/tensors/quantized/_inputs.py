"""Rounding of the inputs of a product to a few bits, and what its ranges learn from."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.tensors.quantized._rounding import LIMIT, SMALLEST

RULES = ("lsq", "pact")


class Codes(NamedTuple):
    """The codes that inputs are rounded to, and the rule of their gradients.

    Attributes:
        bits: 2 to 8.
        signed: Whether codes may be negative.
        rule: `"lsq"` or `"pact"`.
    """

    bits: int
    signed: bool
    rule: str

    @property
    def high(self) -> int:
        """The largest code: `2^(b-1) - 1`, or `2^b - 1` unsigned."""
        return 2 ** (self.bits - self.signed) - 1

    @property
    def low(self) -> int:
        """The smallest code: that of LSQ has no counterpart, as long as int8 products have it."""
        return -min(self.high + (self.rule == "lsq"), LIMIT) if self.signed else 0

    @property
    def narrow(self) -> bool:
        """Whether int8 products have all codes."""
        return self.high <= LIMIT


def codes_of(x: jax.Array, step: jax.Array | None, axes: tuple[int, ...], codes: Codes) -> tuple[jax.Array, jax.Array]:
    """Codes in float32 and their step: the given one, or one from the largest input over some axes.

    .. math:: q = round(clip(x / s, low, high)), \\quad s = \\max |x| / high \\text{ if not given}

    Inputs that are not finite get NaN as code, or as the step of their row, so such input never becomes finite.
    """
    x = x.astype(jnp.float32)
    if step is not None:
        step = jnp.reshape(jnp.asarray(step, jnp.float32), ())
        step = jnp.where(step > 0, step, jnp.nan)  # a range that is not known gives no finite result
        rounded = jnp.round(jnp.clip(x / step, codes.low, codes.high))
        return jnp.where(jnp.isfinite(x), rounded, jnp.nan), step
    largest = jnp.max(jnp.abs(x) if codes.signed else x, axis=axes, keepdims=True, initial=0.0)
    largest = jnp.where(jnp.isfinite(jnp.min(x, axis=axes, keepdims=True, initial=0.0)), largest, jnp.nan)
    largest = jnp.maximum(largest, SMALLEST)
    return jnp.maximum(jnp.round(x * (codes.high / largest)), codes.low), largest / codes.high


def rounded(x: jax.Array, step: jax.Array | None, axes: tuple[int, ...], codes: Codes, features: int) -> jax.Array:
    """The rounded inputs `s q`, with gradients for the inputs and for a given step; a step of 0 rounds nothing.

    With `v = x / s`, inputs get the gradient within the range. The step gets

    .. math:: \\frac{\\partial \\hat x}{\\partial s} =
        \\begin{cases} q - v & \\text{inside} \\\\ low, high & \\text{outside} \\end{cases}
        \\text{, times } 1 / \\sqrt{N\\,high} \\text{ (LSQ)}, \\qquad
        \\frac{\\partial \\hat x}{\\partial s} = high\\,[v \\ge high] \\text{ (PACT)}

    with N the number of features. PACT learns the range `high s`, and so gets `[v >= high]`; signed ranges are
    symmetric.
    """
    if step is None:
        return _from_rows(x, axes, codes)
    return _from_step(x, jnp.reshape(jnp.asarray(step, jnp.float32), ()), codes, features)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _from_rows(x: jax.Array, axes: tuple[int, ...], codes: Codes) -> jax.Array:
    q, step = codes_of(x, None, axes, codes)
    return (q * step).astype(x.dtype)


@_from_rows.defjvp
def _from_rows_jvp(
    axes: tuple[int, ...], codes: Codes, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    ((x,), (dx,)) = primals, tangents
    return _from_rows(x, axes, codes), dx if codes.signed else jnp.where(x >= 0, dx, jnp.zeros((), dx.dtype))


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _from_step(x: jax.Array, step: jax.Array, codes: Codes, features: int) -> jax.Array:
    q, _ = codes_of(x, step, (), codes)
    return jnp.where(step > 0, q * step, x.astype(jnp.float32)).astype(x.dtype)


@_from_step.defjvp
def _from_step_jvp(
    codes: Codes, features: int, primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x, step), (dx, dstep) = primals, tangents
    known = step > 0
    v = x.astype(jnp.float32) / jnp.where(known, step, 1.0)
    # At the smallest code, PACT passes the gradient of an unsigned range: it has a bound above only.
    below = v < codes.low if codes.rule == "pact" and not codes.signed else v <= codes.low
    inside = ~below & (v < codes.high)
    outer = jnp.clip(v, codes.low, codes.high)
    if codes.rule == "lsq":
        slope = jnp.where(inside, jnp.round(v) - v, outer) * np.float32(1 / np.sqrt(max(features, 1) * codes.high))
    else:
        slope = jnp.where(inside, 0.0, outer)
    tangent = jnp.where(inside | ~known, dx.astype(jnp.float32), 0.0) + jnp.where(known, slope, 0.0) * dstep
    return _from_step(x, step, codes, features), tangent.astype(x.dtype)


def errors_of(x: jax.Array, step: jax.Array | None, largest: jax.Array, codes: Codes) -> jax.Array:
    """Bounds of how far inputs are rounded: half a step, and what lies outside of the range."""
    half = largest / (2 * codes.high) if step is None else jnp.reshape(jnp.asarray(step, jnp.float32), ()) / 2
    beyond = jnp.zeros_like(x) if step is None else jnp.maximum(jnp.abs(x) - 2 * half * codes.high, 0.0)
    return half + (beyond if codes.signed else jnp.where(x < 0, -x, beyond))
