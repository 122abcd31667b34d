"""Features without correlations."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number
from compressjax.data._affine import Affine, reconstruction_error
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reducer
from compressjax.data.decomposition._components import check_size
from compressjax.data.decomposition._eigen import eigen
from compressjax.numerics._counts import as_float

_HIGH = jax.lax.Precision.HIGHEST


class Whitening(NamedTuple):
    """The map `(x - mean) @ matrix`, and back by `inverse`, both `[features, features]`."""

    mean: jax.Array
    matrix: jax.Array
    inverse: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Rows whose covariance is the identity."""
        return jnp.matmul(jnp.asarray(x, jnp.float32) - self.mean[None], self.matrix, precision=_HIGH)

    def inverse_transform(self, z: Any) -> jax.Array:
        """Rows as they were."""
        return jnp.matmul(jnp.asarray(z), self.inverse, precision=_HIGH) + self.mean[None]

    def reconstruction_error(self, x: Any) -> jax.Array:
        """Mean squared error of a row: rounding only."""
        return reconstruction_error(self, x)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        return Affine(self.matrix, -jnp.matmul(self.mean, self.matrix, precision=_HIGH))


def whitening(kind: str = "zca", *, ridge: float = 1e-5) -> Reducer:
    """Returns a reducer that makes the covariance of the features the identity.

    .. math:: C = V \\Lambda V^\\top, \\quad W_{pca} = V (\\Lambda + r \\bar\\lambda)^{-1/2}, \\quad
        W_{zca} = V (\\Lambda + r \\bar\\lambda)^{-1/2} V^\\top

    ZCA stays as near to the original features as possible, so whitened images still look like images.

    Args:
        kind: "zca" or "pca".
        ridge: `r`, what is added to every variance, as a share of their mean; above 0, so that constant features and
            fewer rows than features do no harm.

    Returns:
        Reducer whose result is a `Whitening`.

    Raises:
        ValueError: If the kind is unknown or `ridge` is not above 0; from `finalize`, if there are fewer than two rows.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> jnp.cov(fit(whitening(), rows).transform(rows), rowvar=False).round(3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    Source: Kessy et al., The American Statistician, 2018, arXiv:1512.00809.
    """
    if kind not in ("zca", "pca"):
        raise ValueError(f"whitening: kind={kind!r} is unknown; write 'zca' or 'pca'")
    if not as_number("whitening", "ridge", ridge) > 0:
        raise ValueError(f"whitening: ridge={ridge} must be above 0")

    def finalize(state: Moments) -> Whitening:
        check_size("whitening", 1, state.rows, len(state.mean))
        values, rows = eigen(state.scatter / jnp.maximum(as_float(state.rows) - 1, 1))
        roots = jnp.sqrt(values + ridge * jnp.maximum(jnp.mean(values), 1e-30))[:, None]
        right = rows if kind == "zca" else jnp.eye(len(rows))
        matrix = jnp.matmul((rows / roots).T, right, precision=_HIGH)
        return Whitening(state.mean, matrix, jnp.matmul(right.T, rows * roots, precision=_HIGH))

    return Reducer(
        lambda features: no_moments(features, whole=True),
        lambda state, x: merged(state, moments_of(x, whole=True)),
        merged,
        finalize,
        f"whitening({kind})",
        eager=True,
    )
