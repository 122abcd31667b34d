"""Frequent Directions: a small matrix whose products stand for those of all rows, with a bound."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.data._affine import Affine
from compressjax.data._reducer import Reducer
from compressjax.data.decomposition._eigen import leading, signed

_HIGH = jax.lax.Precision.HIGHEST


class Directions(NamedTuple):
    """The map `x @ directions.T`, and what it is known by.

    Attributes:
        sketch: `[size, features]`, whose product with itself is near that of all rows.
        directions: `[k, features]`, its leading right singular vectors.
        lost: What every squared length was shortened by at most: `|x^T A^T A x - x^T B^T B x| <= lost` for `|x| = 1`.
    """

    sketch: jax.Array
    directions: jax.Array
    lost: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Coordinates `[n, k]`."""
        return jnp.matmul(jnp.asarray(x, jnp.float32), self.directions.T, precision=_HIGH)

    def inverse_transform(self, z: Any) -> jax.Array:
        """The nearest rows with these coordinates."""
        return jnp.matmul(jnp.asarray(z), self.directions, precision=_HIGH)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        return Affine(self.directions.T, jnp.zeros(len(self.directions)))


class _Shrunk(NamedTuple):
    """The sketch so far, and what was subtracted."""

    sketch: jax.Array
    lost: jax.Array


def frequent_directions(size: int, components: int | None = None) -> Reducer:
    """Returns a reducer that keeps `size` rows in the place of all, in one pass and memory `size * features`.

    .. math:: \\|A^\\top A - B^\\top B\\|_2 \\le \\frac{\\|A - A_k\\|_F^2}{\\ell - k} \\quad
        \\text{for every } k < \\ell

    All batches and merges subtract the square of singular value `l + 1` from all squares, so the bound holds in any
    order, and `lost` is a certificate that is often far smaller.

    Args:
        size: Rows of the sketch `l`, at least 2.
        components: Directions of `transform`, at most `size`; all of the sketch if None.

    Returns:
        Reducer whose result is `Directions`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> fitted = fit(frequent_directions(2), jnp.array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]))
        >>> float(fitted.lost.round(3)), jnp.abs(fitted.transform(jnp.eye(3))).sum(1).round(3).tolist()
        (1.0, [1.0, 1.0, 0.0])

    Source: Liberty, KDD 2013, arXiv:1206.0594; Ghashami et al., SIAM Journal on Computing, 2016, arXiv:1501.01711.
    """
    rows = as_int("frequent_directions", "size", size)
    k = rows if components is None else as_int("frequent_directions", "components", components)
    if rows < 2 or not 1 <= k <= rows:
        raise ValueError(f"frequent_directions: size={rows} must be at least 2, and components={k} in 1 to {rows}")

    def shrunk(stack: jax.Array, lost: jax.Array) -> _Shrunk:
        values, vectors = leading(stack, min(rows + 1, stack.shape[1]))
        least = values[rows] if len(values) > rows else jnp.zeros(())
        kept = jnp.sqrt(jnp.maximum(values[:rows] - least, 0))[:, None] * vectors[:rows]
        return _Shrunk(jnp.pad(kept, ((0, rows - len(kept)), (0, 0))), lost + least)

    def finalize(state: _Shrunk) -> Directions:
        lengths = jnp.linalg.norm(state.sketch, axis=1, keepdims=True)
        return Directions(state.sketch, signed(state.sketch / jnp.where(lengths > 0, lengths, 1))[:k], state.lost)

    return Reducer(
        lambda features: _Shrunk(jnp.zeros((rows, features)), jnp.zeros(())),
        lambda state, x: shrunk(jnp.concatenate([state.sketch, x.astype(jnp.float32)]), state.lost),
        lambda a, b: shrunk(jnp.concatenate([a.sketch, b.sketch]), a.lost + b.lost),
        finalize,
        f"frequent_directions({rows})",
    )
