"""Kernel methods by random features."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number, integers
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reducer
from compressjax.data.decomposition._components import Components, check_size, components_of
from compressjax.data.decomposition._eigen import eigen
from compressjax.numerics._counts import as_float

_HIGH = jax.lax.Precision.HIGHEST


class RandomFeatures(NamedTuple):
    """The map `sqrt(2 / m) cos(x @ frequencies + phases)`, whose products are nearly the Gaussian kernel.

    Attributes:
        frequencies: `[features, m]`.
        phases: `[m]`.
    """

    frequencies: jax.Array
    phases: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Features `[n, m]`."""
        turns = jnp.matmul(jnp.asarray(x, jnp.float32), self.frequencies, precision=_HIGH) + self.phases[None]
        return jnp.sqrt(2 / len(self.phases)) * jnp.cos(turns)


class KernelComponents(NamedTuple):
    """Principal components of random features.

    Attributes:
        features: `RandomFeatures`.
        components: `Components` of these features.
    """

    features: RandomFeatures
    components: Components

    def transform(self, x: Any) -> jax.Array:
        """Coordinates `[n, k]`."""
        return self.components.transform(self.features.transform(x))


class _Lifted(NamedTuple):
    """The features, and the moments of rows under them."""

    features: RandomFeatures
    moments: Moments


def _draw(who: str, count: int, gamma: float | None, key: jax.Array, features: int) -> RandomFeatures:
    width = 1 / features if gamma is None else gamma
    first, second = jax.random.split(key)
    frequencies = jnp.sqrt(2 * width) * jax.random.normal(first, (features, count))
    return RandomFeatures(frequencies, jax.random.uniform(second, (count,), maxval=2 * jnp.pi))


def _check(who: str, gamma: float | None, **given: Any) -> list[int]:
    found = list(integers(who, **given))
    if min(found) < 1 or (gamma is not None and as_number(who, "gamma", gamma) <= 0):
        raise ValueError(f"{who}: {given} must be at least 1, and gamma={gamma} above 0")
    return found


def random_features(count: int, key: jax.Array, *, gamma: float | None = None) -> Reducer:
    """Returns a reducer to random features of the Gaussian kernel, which looks at no data.

    .. math:: z(x) = \\sqrt{2 / m} \\cos(x \\Omega + b), \\quad
        \\mathbb{E} z(x)^\\top z(y) = e^{-\\gamma \\|x - y\\|^2}, \\quad \\Omega_{ij} \\sim N(0, 2 \\gamma),
        \\quad b_j \\sim U(0, 2 \\pi)

    Args:
        count: `m`, at least 1; the error of the kernel falls as `1 / sqrt(m)`.
        key: Random key.
        gamma: Above 0; None for 1 over the number of features.

    Returns:
        Reducer whose result is `RandomFeatures`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> z = fit(random_features(4096, jax.random.key(0), gamma=0.5), jnp.zeros((1, 2))).transform(jnp.eye(2))
        >>> float((z[0] @ z[1]).round(1)), float(jnp.exp(-1.0).round(1))  # the squared distance is 2
        (0.4..., 0.4...)

    Source: Rahimi and Recht, NIPS 2007.
    """
    (size,) = _check("random_features", gamma, count=count)
    draw = functools.partial(_draw, "random_features", size, gamma, key)
    return Reducer(draw, lambda s, x: s, lambda a, b: a, lambda s: s, f"random_features({size})")


def kernel_pca(
    components: int, key: jax.Array, *, count: int = 512, gamma: float | None = None, whiten: bool = False
) -> Reducer:
    """Returns a reducer to the principal components of the Gaussian kernel, by random features.

    .. math:: z = V_k^\\top (\\phi(x) - \\bar\\phi), \\quad \\phi(x)^\\top \\phi(y) \\approx e^{-\\gamma \\|x - y\\|^2}

    One pass and memory `count^2`, where the kernel matrix would need the square of the number of rows.

    Args:
        components: Number of directions, at least 1 and at most `count`.
        key: Random key of the features.
        count: Number of random features.
        gamma: Above 0; None for 1 over the number of features.
        whiten: As for `pca`.

    Returns:
        Reducer whose result is `KernelComponents`.

    Raises:
        ValueError: If a number is out of range; from `finalize`, if there are fewer rows.

    Example:
        >>> from compressjax.data import fit
        >>> fit(kernel_pca(2, jax.random.key(0), count=32), jnp.eye(4)).transform(jnp.eye(4)).shape
        (4, 2)

    Source: Schoelkopf et al., 1998; Rahimi and Recht, NIPS 2007; Lopez-Paz et al., ICML 2014, arXiv:1402.0119.
    """
    k, size = _check("kernel_pca", gamma, components=components, count=count)
    if k > size:
        raise ValueError(f"kernel_pca: components={k} must be at most count={size}")
    draw = functools.partial(_draw, "kernel_pca", size, gamma, key)

    def finalize(state: _Lifted) -> KernelComponents:
        moments = state.moments
        check_size("kernel_pca", k, moments.rows, size)
        values, rows = eigen(moments.scatter, k)
        divisor = jnp.maximum(as_float(moments.rows) - 1, 1)
        found = components_of(moments.mean, values[:k], rows[:k], divisor, jnp.trace(moments.scatter), whiten)
        return KernelComponents(state.features, found)

    return Reducer(
        lambda features: _Lifted(draw(features), no_moments(size, whole=True)),
        lambda s, x: s._replace(moments=merged(s.moments, moments_of(s.features.transform(x), whole=True))),
        lambda a, b: a._replace(moments=merged(a.moments, b.moments)),
        finalize,
        f"kernel_pca({k})",
    )
