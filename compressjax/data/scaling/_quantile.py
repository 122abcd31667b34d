"""Features with the distribution that one wants."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int
from compressjax.data._affine import reconstruction_error
from compressjax.data._quantiles import Sketch, quantiles
from compressjax.data._reducer import Reducer
from compressjax.data.scaling._robust import by_sketch
from compressjax.numerics._counts import known

_EDGE, _END = 1e-7, 5.199337582290661  # where normal values are cut off, as in scikit-learn


class Ranks(NamedTuple):
    """The map from values to shares, or to the normal quantiles of shares.

    Attributes:
        values: `[m, features]`, ascending.
        shares: `[m]`, from 0 to 1.
        normal: Whether shares become normal.
    """

    values: jax.Array
    shares: jax.Array
    normal: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Shares in [0, 1], or normal values; what lies outside of the range goes to its ends."""
        rows = jnp.asarray(x, jnp.float32)

        def one(column: jax.Array, values: jax.Array) -> jax.Array:
            # The mean of both directions is the middle of a run of equal values.
            up = jnp.interp(column, values, self.shares)
            down = -jnp.interp(-column, -values[::-1], -self.shares[::-1])
            share = jnp.where(column <= values[0], 0.0, jnp.where(column >= values[-1], 1.0, (up + down) / 2))
            return jnp.where(values[-1] > values[0], share, 0.0)

        share = jax.vmap(one, in_axes=1, out_axes=1)(rows, self.values)
        inside = (share > _EDGE) & (share < 1 - _EDGE)
        value = jax.scipy.special.ndtri(jnp.where(inside, share, 0.5))
        return jnp.where(self.normal, jnp.where(inside, value, jnp.where(share < 0.5, -_END, _END)), share)

    def inverse_transform(self, z: Any) -> jax.Array:
        """Rows with these shares."""
        given = jnp.asarray(z, jnp.float32)
        share = jnp.where(self.normal, jax.scipy.special.ndtr(given), given)
        back = jax.vmap(lambda s, values: jnp.interp(s, self.shares, values), in_axes=1, out_axes=1)
        return back(share, self.values)

    def reconstruction_error(self, x: Any) -> jax.Array:
        """Mean squared error of a row: interpolation between the quantiles."""
        return reconstruction_error(self, x)


def quantile_scaler(points: int = 1000, *, output: str = "uniform", size: int = 1024) -> Reducer:
    """Returns a reducer that gives every feature a uniform or normal distribution.

    .. math:: z = F_j(x), \\quad\\text{or}\\quad z = \\Phi^{-1}(F_j(x))

    with the empirical distribution `F`, interpolated between `points` quantiles. The error is that of `robust_scaler`:
    exact up to `size` rows. A constant feature goes to one value. `finalize` does not run under `jit`.

    Args:
        points: Number of quantiles, at least 2; at most the rows are used.
        output: "uniform" or "normal".
        size: Values that a run of the sketch holds, at least 8.

    Returns:
        Reducer whose result is `Ranks`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> fit(quantile_scaler(3, size=8), jnp.array([[0.0], [1.0], [100.0]])).transform([[1.0], [50.5]]).tolist()
        [[0.5], [0.75]]

    Source: Manku, Rajagopalan and Lindsay, SIGMOD 1998.
    """
    who = "quantile_scaler"
    if as_int(who, "points", points) < 2 or output not in ("uniform", "normal"):
        raise ValueError(f"{who}: points={points} must be at least 2, and output={output!r} 'uniform' or 'normal'")

    def finalize(state: Sketch) -> Ranks:
        shares = np.linspace(0, 1, max(2, min(int(points), known(state.rows) or 2)))
        values = np.maximum.accumulate(quantiles(state, shares, who), axis=0)
        normal = jnp.asarray(output == "normal")
        return Ranks(jnp.asarray(values, jnp.float32), jnp.asarray(shares, jnp.float32), normal)

    return Reducer(*by_sketch(who, size), finalize, f"{who}({output})")
