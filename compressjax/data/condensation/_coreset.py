"""Some of the rows, which stand for all."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.data.sources._batches import rows_of

_HIGH = jax.lax.Precision.HIGHEST


class Coreset(NamedTuple):
    """Chosen rows.

    Attributes:
        places: `[k]`, int32, in the order of choice.
        distances: `[n]`, of every row to the nearest chosen one.
        owners: `[n]`, int32, which of the chosen ones that is.
    """

    places: jax.Array
    distances: jax.Array
    owners: jax.Array


def k_center(x: Any, k: int, *, start: int = 0) -> Coreset:
    """Chooses rows so that every row is near one of them, greedily: each next one is the farthest.

    .. math:: i_{t+1} = \\arg\\max_i \\min_{s \\le t} \\|x_i - x_{i_s}\\|, \\quad
        \\max_i \\min_s \\|x_i - x_{i_s}\\| \\le 2 \\, OPT

    Args:
        x: `[n, features]`: rows, or better, their features in a network.
        k: How many, at least 1 and at most `n`.
        start: The first row.

    Returns:
        `Coreset`.

    Raises:
        ValueError: If a number is out of range, or a value is not finite: its row and column are named.

    Example:
        >>> k_center(jnp.array([[0.0], [1.0], [10.0], [6.0]]), 3).places.tolist()
        [0, 2, 3]

    Source: Gonzalez, 1985; in active learning, Sener and Savarese, ICLR 2018, arXiv:1708.00489.
    """
    rows, count, first = _checked("k_center", x, k, start)
    return _farthest(rows, count, first)


@functools.partial(jax.jit, static_argnums=1)
def _farthest(x: jax.Array, k: int, first: jax.Array) -> Coreset:
    def step(t: jax.Array, state: tuple[jax.Array, jax.Array, jax.Array, jax.Array]) -> Any:
        places, squares, owners, new = state
        found = jnp.sum((x - x[new][None]) ** 2, axis=1)
        owners = jnp.where(found < squares, t, owners)
        squares = jnp.minimum(squares, found)
        return places.at[t].set(new), squares, owners, jnp.argmax(squares).astype(jnp.int32)

    nothing = jnp.zeros(k, jnp.int32), jnp.full(len(x), jnp.inf), jnp.zeros(len(x), jnp.int32)
    places, squares, owners, _ = jax.lax.fori_loop(0, k, step, (*nothing, jnp.asarray(first, jnp.int32)))
    return Coreset(places, jnp.sqrt(squares), owners)


def herding(x: Any, k: int) -> Coreset:
    """Chooses rows whose mean is near that of all rows, one by one.

    .. math:: i_t = \\arg\\max_{i \\notin S} \\langle w_t, x_i \\rangle, \\quad w_{t+1} = w_t + \\mu - x_{i_t}

    The error of the mean falls as `1 / k` where rows have one length, and as `1 / sqrt(k)` for random rows.

    Args:
        x: `[n, features]`: rows, or better, their features in a network.
        k: How many, at least 1 and at most `n`.

    Returns:
        `Coreset`.

    Raises:
        ValueError: If a number is out of range, or a value is not finite: its row and column are named.

    Example:
        >>> herding(jnp.array([[-3.0], [-1.0], [1.0], [3.0], [9.0]]), 2).places.tolist()  # the mean is 1.8
        [4, 0]

    Source: Welling, ICML 2009; Rebuffi et al., CVPR 2017, arXiv:1611.07725.
    """
    rows, count, _ = _checked("herding", x, k, 0)
    return _herded(rows, count)


@functools.partial(jax.jit, static_argnums=1)
def _herded(x: jax.Array, k: int) -> Coreset:
    mean = jnp.mean(x, axis=0)

    def step(state: tuple[jax.Array, jax.Array], _: Any) -> Any:
        weights, taken = state
        scores = jnp.where(taken, -jnp.inf, jnp.matmul(x, weights, precision=_HIGH))
        new = jnp.argmax(scores).astype(jnp.int32)
        return (weights + mean - x[new], taken.at[new].set(True)), new

    places = jax.lax.scan(step, (mean, jnp.zeros(len(x), bool)), length=k)[1]
    squares = jax.lax.map(lambda i: jnp.sum((x - x[i][None]) ** 2, axis=1), places)
    return Coreset(places, jnp.sqrt(jnp.min(squares, axis=0)), jnp.argmin(squares, axis=0).astype(jnp.int32))


def _checked(who: str, x: Any, k: int, start: int) -> tuple[jax.Array, int, int]:
    rows = rows_of(who, x, 0).astype(jnp.float32)
    count, first = as_int(who, "k", k), as_int(who, "start", start)
    if not 1 <= count <= len(rows) or not 0 <= first < len(rows):
        raise ValueError(f"{who}: k={count} must be at least 1 and at most the {len(rows)} rows, start={first} one of "
                         "them")  # fmt: skip
    return rows, count, first
