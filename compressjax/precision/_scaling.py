"""Scales of 8-bit floats: from the tensor itself, or from the largest magnitudes of earlier steps."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.numerics._minifloat import round_float
from compressjax.precision._formats import Format


class Scaling(NamedTuple):
    """State of one product under delayed scaling: left operand, right operand, gradient of the result.

    Attributes:
        scale: Scales `[..., 3]`, float32; a tensor is divided by its scale.
        history: Largest magnitudes of the last steps `[..., 3, steps]`, the newest first.
    """

    scale: jax.Array
    history: jax.Array


def updated(scale: jax.Array, history: jax.Array, form: Format, margin: float) -> jax.Array:
    """The scale from a history, `max(history) 2^margin / largest`; the old one without a usable maximum."""
    most = jnp.max(history, axis=-1)
    # The reciprocals are those of Flax and Transformer Engine, so that the scales are the same to the last bit.
    factor = (form.largest / most) / 2.0**margin
    usable = (most > 0) & jnp.isfinite(most)
    return 1.0 / jnp.where(usable, factor, 1.0 / scale)


def recorded(x: jax.Array, history: jax.Array, axis_name: Any) -> jax.Array:
    """The history with the largest magnitude of a tensor in the place of the oldest; overflow is not recorded."""
    most = jnp.max(jnp.abs(x)).astype(history.dtype)
    most = most if axis_name is None else jax.lax.pmax(most, axis_name)
    return jnp.roll(history, -1).at[0].set(jnp.where(jnp.isfinite(most), most, 0.0))


def on_scale(x: jax.Array, scale: jax.Array, form: Format) -> jax.Array:
    """The nearest multiples of a scale by numbers of an 8-bit float; infinities and NaN stay."""
    wide = x.astype(jnp.float32)
    codes = round_float(wide / scale, form.mantissa, form.emin, form.largest).astype(form.dtype)
    return jnp.where(jnp.isfinite(wide), codes.astype(jnp.float32) * scale, wide)


def current(x: jax.Array, form: Format) -> jax.Array:
    """A tensor on the scale of its own largest magnitude."""
    most = jnp.max(jnp.abs(x)).astype(jnp.float32)
    return on_scale(x, jnp.where((most > 0) & jnp.isfinite(most), most / form.largest, 1.0), form)


class Delay(NamedTuple):
    """Settings of delayed scaling; hashable."""

    margin: float
    axis_name: Any


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def forward(form: Format, delay: Delay, x: jax.Array, scale: jax.Array, history: jax.Array) -> jax.Array:
    """An operand on its delayed scale; the gradients of scale and history are their new values."""
    return on_scale(x, updated(scale, history, form, delay.margin), form)


def _forward_fwd(form: Format, delay: Delay, x: jax.Array, scale: jax.Array, history: jax.Array) -> Any:
    new = updated(scale, history, form, delay.margin)
    return on_scale(x, new, form), (new, recorded(x, history, delay.axis_name))


def _forward_bwd(form: Format, delay: Delay, new: Any, g: jax.Array) -> Any:
    del form, delay
    return g, *new


forward.defvjp(_forward_fwd, _forward_bwd)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def backward(form: Format, delay: Delay, y: jax.Array, scale: jax.Array, history: jax.Array) -> jax.Array:
    """A result whose gradient is put on its delayed scale; the gradients of scale and history are their new values."""
    del form, delay, scale, history
    return y


def _backward_fwd(form: Format, delay: Delay, y: jax.Array, scale: jax.Array, history: jax.Array) -> Any:
    del form, delay
    return y, (scale, history)


def _backward_bwd(form: Format, delay: Delay, held: Any, g: jax.Array) -> Any:
    scale, history = held
    new = updated(scale, history, form, delay.margin)
    return on_scale(g, new, form).astype(g.dtype), new, recorded(g, history, delay.axis_name)


backward.defvjp(_backward_fwd, _backward_bwd)
