"""What all losses share: checked pairs in float32, weights of examples, stable means, logarithms and norms."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._checks import is_concrete
from compressjax.core._settings import as_scalar


class Pair(NamedTuple):
    """Student, teacher and weights in float32; both are 0 where the weight is, and the teacher has no gradient."""

    student: jax.Array
    teacher: jax.Array
    weights: jax.Array


def pair(who: str, student: Any, teacher: Any, weights: Any, *, axes: int = 1, what: str = "[..., classes]") -> Pair:
    """Student and teacher of one shape, whose last `axes` axes belong to one example."""
    shapes = np.shape(student), np.shape(teacher)
    if shapes[0] != shapes[1] or len(shapes[0]) < axes:
        raise ValueError(
            f"{who}: student {shapes[0]} and teacher {shapes[1]} differ in shape or have too few axes; both must be "
            f"{what} over the same examples"
        )
    w = weights_of(who, weights, shapes[0][: len(shapes[0]) - axes])
    return Pair(kept(student, w), jax.lax.stop_gradient(kept(teacher, w)), w)


def examples(who: str, student: Any, teacher: Any, weights: Any, *, least: int = 1) -> Pair:
    """Student and teacher as `[batch, features]`, over one batch of `least` examples or more."""
    shapes = np.shape(student), np.shape(teacher)
    if min(len(s) for s in shapes) < 2 or shapes[0][0] != shapes[1][0] or shapes[0][0] < least:
        raise ValueError(
            f"{who}: student {shapes[0]} and teacher {shapes[1]} must be [batch, ...] over the same {least} or more "
            "examples"
        )
    w = weights_of(who, weights, shapes[0][:1])
    flat = (jnp.reshape(x, (shapes[0][0], -1)) for x in (student, teacher))
    a, b = (kept(x, w) for x in flat)
    return Pair(a, jax.lax.stop_gradient(b), w)


def weights_of(who: str, weights: Any, shape: Sequence[int], name: str = "weights") -> jax.Array:
    """Weights as float32 of a shape, at least 0 where they are known; None weighs all alike."""
    if weights is None:
        return jnp.ones(shape, jnp.float32)
    given = np.shape(weights)
    try:
        fits = np.broadcast_shapes(given, tuple(shape)) == tuple(shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{who}: {name} {given} do not broadcast to {tuple(shape)}; give one number an entry")
    w = jnp.asarray(weights).astype(jnp.float32)
    if is_concrete(w) and (wrong := np.asarray(w)[~(np.asarray(w) >= 0)]).size:
        raise ValueError(f"{who}: {name} has {wrong.flat[0]:g}; weights are 0 or more, and 0 leaves an entry out")
    return jnp.broadcast_to(w, shape)


def kept(x: Any, weights: jax.Array) -> jax.Array:
    """`x` in float32, with 0 where the weight is 0, so that neither values nor gradients of such entries matter."""
    x = jnp.asarray(x).astype(jnp.float32)
    mask = jnp.reshape(weights != 0, weights.shape + (1,) * (x.ndim - weights.ndim))
    return jnp.where(mask, x, 0.0)


def weighted_mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """`sum(w v) / sum(w)`; 0 without weight."""
    total = jnp.sum(weights)
    added = jnp.sum(jnp.where(weights != 0, weights * jnp.where(weights != 0, values, 0.0), 0.0))
    return jnp.where(total != 0, added / jnp.where(total != 0, total, 1.0), 0.0)


def pairs_of(weights: jax.Array, *, same: bool = False) -> jax.Array:
    """Weights `[batch, batch]` of pairs of examples; an example with itself counts only if `same`."""
    both = weights[:, None] * weights[None, :]
    return both if same else jnp.where(jnp.eye(weights.shape[0], dtype=bool), 0.0, both)


def log_soft(logits: jax.Array, temperature: Any) -> jax.Array:
    """Logarithms of the probabilities at a temperature."""
    return jax.nn.log_softmax(logits.astype(jnp.float32) / temperature, axis=-1)


def expected(probabilities: jax.Array, x: jax.Array) -> jax.Array:
    """Sum of `p x` over the last axis; a class of probability 0 adds 0, also where x is infinite."""
    counted = probabilities != 0
    return jnp.sum(jnp.where(counted, probabilities * jnp.where(counted, x, 0.0), 0.0), axis=-1)


def divergence(log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    """`KL(p || q)` over the last axis, from logarithms."""
    return expected(jnp.exp(log_p), log_p - log_q)


def unit(x: jax.Array, axis: int = -1) -> jax.Array:
    """Rows of length 1; rows of zeros stay zero, with gradients of zero."""
    # The result does not depend on the scale of a row, so that the scale needs no gradient.
    scale = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True))
    found = scale > np.finfo(np.float32).tiny
    x = jnp.where(found, x / jnp.where(found, scale, 1.0), 0.0)
    return x * jax.lax.rsqrt(jnp.where(found, jnp.sum(x * x, axis=axis, keepdims=True), 1.0))


def centered(x: jax.Array, mean: jax.Array) -> jax.Array:
    """`x - mean`; 0, with gradient 0, where only rounding differs from the mean."""
    wrong = jax.lax.stop_gradient(16 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x)))
    moved = x - mean
    return jnp.where(jnp.max(jnp.abs(moved)) > wrong, moved, 0.0)


def huber(error: jax.Array, delta: Any = 1.0) -> jax.Array:
    """`error ** 2 / 2` up to `delta`, linear beyond."""
    size = jnp.abs(error)
    return jnp.where(size <= delta, 0.5 * error * error, delta * (size - 0.5 * delta))


def positive(who: str, name: str, x: Any, hint: str) -> Any:
    """A setting above 0; traced ones are not checked."""
    x = as_scalar(who, name, x)
    if not isinstance(x, jax.core.Tracer) and not 0 < x < float("inf"):
        raise ValueError(f"{who}: {name}={x} must be positive; {hint}")
    return x


def nonnegative(who: str, name: str, x: Any, hint: str) -> Any:
    """A setting of 0 or more; traced ones are not checked."""
    x = as_scalar(who, name, x)
    if not isinstance(x, jax.core.Tracer) and not 0 <= x < float("inf"):
        raise ValueError(f"{who}: {name}={x} must be 0 or more; {hint}")
    return x


def fraction(who: str, name: str, x: Any, hint: str) -> Any:
    """A setting in [0, 1]; traced ones are not checked."""
    x = as_scalar(who, name, x)
    if not isinstance(x, jax.core.Tracer) and not 0 <= x <= 1:
        raise ValueError(f"{who}: {name}={x} must be in [0, 1]; {hint}")
    return x


def temperature_of(who: str, x: Any) -> Any:
    """A temperature."""
    return positive(who, "temperature", x, "1 keeps the probabilities unchanged")


def labels_of(who: str, labels: Any, shape: Sequence[int]) -> jax.Array:
    """Labels as integers `[...]` of logits `[..., classes]`."""
    found = jnp.asarray(labels)
    if found.shape != tuple(shape[:-1]) or not jnp.issubdtype(found.dtype, jnp.integer):
        raise ValueError(
            f"{who}: labels {found.shape} of {found.dtype} do not match logits {tuple(shape)}; give integers "
            f"{tuple(shape[:-1])}"
        )
    return found


def cross_entropy(who: str, logits: jax.Array, labels: Any) -> jax.Array:
    """Cross-entropy `[...]` with integer labels `[...]` or probabilities `[..., classes]`."""
    log_probabilities, found = log_soft(logits, 1.0), jnp.asarray(labels)
    if found.shape == logits.shape:
        return -expected(found.astype(jnp.float32), log_probabilities)
    if found.shape != logits.shape[:-1] or not jnp.issubdtype(found.dtype, jnp.integer):
        raise ValueError(
            f"{who}: labels {found.shape} of {found.dtype} do not match logits {logits.shape}; give integers "
            f"{logits.shape[:-1]} or probabilities {logits.shape}"
        )
    return -jnp.take_along_axis(log_probabilities, found[..., None], axis=-1)[..., 0]
