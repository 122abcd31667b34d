"""Random directions that nearly keep distances."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.data._affine import Affine
from compressjax.data._reducer import Reducer


class Projection(NamedTuple):
    """The map `x @ matrix`, with `matrix [features, k]`."""

    matrix: jax.Array

    def transform(self, x: jax.Array) -> jax.Array:
        """Coordinates `[n, k]`."""
        return jnp.matmul(jnp.asarray(x, jnp.float32), self.matrix, precision=jax.lax.Precision.HIGHEST)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        return Affine(self.matrix, jnp.zeros(self.matrix.shape[1]))


def random_projection(components: int, key: jax.Array) -> Reducer:
    """Returns a reducer to random directions, which looks at no data.

    .. math:: z = x R / \\sqrt{k}, \\quad R_{ij} \\sim N(0, 1)

    Squared distances of `n` points stay within a factor `1 +- e` with `k >= 4 ln(n) / (e^2 / 2 - e^3 / 3)` (Johnson and
    Lindenstrauss).

    Args:
        components: `k`, at least 1.
        key: Random key.

    Returns:
        Reducer whose result is a `Projection`.

    Raises:
        ValueError: If `components` is below 1.

    Example:
        >>> from compressjax.data import fit
        >>> fit(random_projection(2, jax.random.key(0)), jnp.ones((3, 9))).transform(jnp.ones((1, 9))).shape
        (1, 2)

    Source: Dasgupta and Gupta, Random Structures and Algorithms, 2003.
    """
    if as_int("random_projection", "components", components) < 1:
        raise ValueError(f"random_projection: components={components} must be at least 1")

    def init(features: int) -> jax.Array:
        return jax.random.normal(key, (features, int(components))) / jnp.sqrt(float(components))

    return Reducer(init, lambda state, x: state, lambda a, b: a, Projection, f"random_projection({components})")
