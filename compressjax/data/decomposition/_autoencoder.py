"""Features by a small network that copies its input."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._settings import as_int, integers
from compressjax.data._affine import reconstruction_error
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reducer
from compressjax.numerics._counts import Count, as_float, exact, plus

_HIGH = jax.lax.Precision.HIGHEST

Layer = tuple[jax.Array, jax.Array]


class Autoencoder(NamedTuple):
    """Two dense networks with ReLU between their layers, on rows less their mean, over one scale.

    Attributes:
        mean: `[features]`.
        scale: A number, the root of the mean variance.
        encoder: Kernels `[in, out]` and biases, from features to codes.
        decoder: The same from codes to features.
    """

    mean: jax.Array
    scale: jax.Array
    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]

    def transform(self, x: Any) -> jax.Array:
        """Codes `[n, k]`."""
        return _network(self.encoder, (jnp.asarray(x, jnp.float32) - self.mean[None]) / self.scale)

    def inverse_transform(self, z: Any) -> jax.Array:
        """Rows from codes."""
        return _network(self.decoder, jnp.asarray(z)) * self.scale + self.mean[None]

    def reconstruction_error(self, x: Any) -> jax.Array:
        """Mean squared error of a row."""
        return reconstruction_error(self, x)


def _network(layers: Sequence[Layer], x: jax.Array) -> jax.Array:
    for i, (kernel, bias) in enumerate(layers):
        x = jnp.matmul(x, kernel, precision=_HIGH) + bias[None]
        x = jax.nn.relu(x) if i + 1 < len(layers) else x
    return x


class Training(NamedTuple):
    """Moments of the first pass, then parameters, state of the optimizer and rows of the pass; passes before it."""

    moments: Moments
    params: Any
    inner: Any
    rows: Count
    done: jax.Array


def autoencoder(
    components: int, key: jax.Array, *, widths: Sequence[int] = (64,), size: int = 64, passes: int = 20,
    optimizer: optax.GradientTransformation | None = None,
) -> Reducer:  # fmt: skip
    """Returns a reducer to the codes of a network that is trained to copy its input.

    .. math:: \\min \\sum_i \\|x_i - g(f(x_i))\\|^2, \\quad z = f(x)

    The first pass takes the mean and the scale. Every other takes a step of the optimizer for every `size` rows, in
    the order of the source; what several hosts have learned in a pass is averaged by their rows. With `widths=()` it
    learns the space of the principal components.

    Args:
        components: Length of the codes, at least 1.
        key: Random key of the start.
        widths: Of the layers between, from the features; the decoder has them in reverse.
        size: Rows of a step, at least 1; fewer at the end of a batch.
        passes: Over the source, at least 2.
        optimizer: Adam with the rate 3e-3 if None.

    Returns:
        Reducer whose result is an `Autoencoder`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jax.random.normal(jax.random.key(1), (64, 1)) * jnp.array([[1.0, 2.0, 3.0]])
        >>> fitted = fit(autoencoder(1, jax.random.key(0), widths=(), size=4, optimizer=optax.sgd(0.02, 0.9)), rows)
        >>> bool(fitted.reconstruction_error(rows) < 0.05)
        True

    Source: Hinton and Salakhutdinov, Science, 2006.
    """
    k, rows, times = integers("autoencoder", components=components, size=size, passes=passes)
    between = [as_int("autoencoder", "widths", width) for width in widths]
    if min(k, rows, times - 1, *between) < 1:
        raise ValueError(
            f"autoencoder: components={k}, size={rows} and widths={widths} must be at least 1, passes={times} at least "
            "2"
        )
    rule = optimizer or optax.adam(3e-3)

    def init(features: int) -> Training:
        layers = _layers(key, [features, *between, k, *between[::-1], features])
        params = layers[: len(between) + 1], layers[len(between) + 1 :]
        return Training(no_moments(features, False), params, rule.init(params), exact(0), jnp.zeros((), jnp.int32))

    def step(state: Training, x: jax.Array) -> Training:
        def value(params: Any) -> jax.Array:
            return jnp.mean((_network(params[1], _network(params[0], x)) - x) ** 2)

        updates, inner = rule.update(jax.grad(value)(state.params), state.inner, state.params)
        return state._replace(params=optax.apply_updates(state.params, updates), inner=inner)

    def learned(state: Training, x: jax.Array) -> Training:
        x, whole = (x - state.moments.mean[None]) / _scale(state.moments), len(x) // rows * rows
        if whole:
            parts = x[:whole].reshape(-1, rows, x.shape[1])
            state = jax.lax.scan(lambda s, part: (step(s, part), None), state, parts)[0]
        state = step(state, x[whole:]) if whole < len(x) else state
        return state._replace(rows=plus(state.rows, exact(len(x))))

    def measured(state: Training, x: jax.Array) -> Training:
        return state._replace(moments=merged(state.moments, moments_of(x, False)))

    def update(state: Training, x: jax.Array) -> Training:
        return jax.lax.cond(state.done == 0, measured, learned, state, x.astype(jnp.float32))

    def merge(a: Training, b: Training) -> Training:
        n_a, n_b = as_float(a.rows), as_float(b.rows)
        share = jnp.where(n_a + n_b > 0, n_a / jnp.maximum(n_a + n_b, 1), 0.5)

        def mean(x: jax.Array, y: jax.Array) -> jax.Array:
            return share * x + (1 - share) * y if jnp.issubdtype(x.dtype, jnp.floating) else jnp.maximum(x, y)

        moments = jax.tree.map(lambda x, y: jnp.where(a.done == 0, x, y), merged(a.moments, b.moments), a.moments)
        params, inner = jax.tree.map(mean, (a.params, a.inner), (b.params, b.inner))
        return Training(moments, params, inner, plus(a.rows, b.rows), a.done)

    def again(state: Training) -> tuple[Training, jax.Array]:
        return state._replace(rows=exact(0), done=state.done + 1), state.done + 1 < times

    def finalize(state: Training) -> Autoencoder:
        return Autoencoder(state.moments.mean, _scale(state.moments), *state.params)

    return Reducer(init, update, merge, finalize, f"autoencoder({k})", again=again)


def _layers(key: jax.Array, sizes: Sequence[int]) -> tuple[Layer, ...]:
    keys = jax.random.split(key, len(sizes) - 1)
    draw = jax.nn.initializers.he_normal()
    return tuple((draw(k, (a, b)), jnp.zeros(b)) for k, a, b in zip(keys, sizes[:-1], sizes[1:]))


def _scale(moments: Moments) -> jax.Array:
    return jnp.sqrt(jnp.maximum(jnp.mean(moments.scatter) / jnp.maximum(as_float(moments.rows), 1), 1e-12))
