"""Leading directions from products with a few random ones; no matrix of `features^2` is formed."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import integers
from compressjax.data._reducer import Reads, Reducer
from compressjax.data.decomposition._components import Components, check_size, components_of
from compressjax.data.decomposition._eigen import orthonormal, signed
from compressjax.data.sources._sparse import is_sparse, product, transposed_product
from compressjax.numerics._counts import Count, as_float, exact, plus

_HIGH = jax.lax.Precision.HIGHEST


class Sketch(NamedTuple):
    """A basis, and the statistics of one pass.

    Attributes:
        rows: Their number.
        mean: `[d]`, 0 where rows are not centered.
        basis: `[d, l]`, orthonormal, the same for all states of a pass.
        image: `[d, l]`, the scatter times the basis.
        squares: The trace of the scatter.
        done: Passes before this one.
    """

    rows: Count
    mean: jax.Array
    basis: jax.Array
    image: jax.Array
    squares: jax.Array
    done: jax.Array


def _start(size: int, key: jax.Array, features: int) -> Sketch:
    basis = orthonormal(jax.random.normal(key, (features, min(size, features))))
    return _empty(basis, jnp.zeros((), jnp.int32))


def _empty(basis: jax.Array, done: jax.Array) -> Sketch:
    features = len(basis)
    return Sketch(exact(0), jnp.zeros(features), basis, jnp.zeros_like(basis), jnp.zeros(()), done)


def _of_batch(center: bool, state: Sketch, x: Any) -> Sketch:
    n = x.shape[0]
    mean = jnp.zeros(x.shape[1])
    if center and n:
        mean = transposed_product(x, jnp.ones((n, 1)))[:, 0] / n
    if is_sparse(x):  # a centered matrix would be dense: the mean is taken out of the products
        along = jnp.matmul(mean[None], state.basis, precision=_HIGH)
        image = transposed_product(x, product(x, state.basis)) - n * mean[:, None] * along
        squares = jnp.sum(x.data.astype(jnp.float32) ** 2) - n * jnp.sum(mean**2)
    else:
        x = x.astype(jnp.float32) - mean[None]
        image, squares = transposed_product(x, product(x, state.basis)), jnp.sum(x**2)
    return state._replace(rows=exact(n), mean=mean, image=image, squares=squares)


def _merged(a: Sketch, b: Sketch) -> Sketch:
    total = plus(a.rows, b.rows)
    n_a, n_b, n = as_float(a.rows), as_float(b.rows), jnp.maximum(as_float(total), 1)
    delta, weight = b.mean - a.mean, n_a * (n_b / n)
    moved = weight * delta[:, None] * jnp.matmul(delta[None], a.basis, precision=_HIGH)
    squares = a.squares + b.squares + weight * jnp.sum(delta**2)
    return a._replace(rows=total, mean=a.mean + delta * (n_b / n), image=a.image + b.image + moved, squares=squares)


def _again(passes: int, state: Sketch) -> tuple[Sketch, jax.Array]:
    more = state.done + 1 < passes
    following = _empty(orthonormal(state.image), state.done + 1)
    return jax.tree.map(lambda a, b: jnp.where(more, a, b), following, state), more


def _finalize(who: str, k: int, center: bool, whiten: bool, state: Sketch) -> Components:
    check_size(who, k, state.rows, len(state.mean), least=2 if center else 1)
    # Rayleigh and Ritz: the scatter inside of the basis, whose eigenvalues err by the square of the error of the basis.
    inside = jnp.matmul(state.basis.T, state.image, precision=_HIGH)
    values, vectors = jnp.linalg.eigh((inside + inside.T) / 2)
    rows = jnp.matmul(vectors[:, ::-1][:, :k].T, state.basis.T, precision=_HIGH)
    divisor = jnp.maximum(as_float(state.rows) - (1 if center else 0), 1)
    return components_of(state.mean, values[::-1][:k], signed(rows), divisor, state.squares, whiten)


def _reducer(
    who: str, components: Any, key: jax.Array, extra: Any, passes: Any, center: bool, whiten: bool = False
) -> Reducer:
    k, more, times = integers(who, components=components, extra=extra, passes=passes)
    if k < 1 or more < 0 or times < 2:
        raise ValueError(
            f"{who}: components={k} must be at least 1, extra={more} at least 0, passes={times} at least 2"
        )
    return Reducer(
        functools.partial(_start, k + more, key),
        lambda state, x: _merged(state, _of_batch(center, state, x)),
        _merged,
        functools.partial(_finalize, who, k, center, whiten),
        f"{who}({k})",
        Reads(sparse=True),
        functools.partial(_again, times),
    )


def randomized_pca(
    components: int, key: jax.Array, *, extra: int = 10, passes: int = 4, whiten: bool = False
) -> Reducer:
    """Returns a reducer as `pca`, in memory `(components + extra) features`, also for sparse rows.

    .. math:: Q_{t+1} = orth(S Q_t), \\quad S = \\sum_i (x_i - \\mu)(x_i - \\mu)^\\top, \\quad
        Q^\\top S Q = U \\Lambda U^\\top, \\quad V = Q U

    Every pass multiplies the error of the directions by `lambda_{l+1} / lambda_k`, where `l = components + extra`.
    Sparse rows are never made dense: the mean is taken out of the products.

    Args:
        components: Number of directions `k`, at least 1.
        key: Random key of the first basis.
        extra: Directions beside them, at least 0.
        passes: Over the source, at least 2.
        whiten: As for `pca`.

    Returns:
        Reducer whose result is `Components`.

    Raises:
        ValueError: If a number is out of range; from `finalize`, if there are fewer rows or features.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
        >>> fit(randomized_pca(1, jax.random.key(0)), rows).explained_variance.round().tolist()
        [27.0]

    Source: Halko et al., SIAM Review, 2011, arXiv:0909.4061.
    """
    return _reducer("randomized_pca", components, key, extra, passes, True, whiten)


def truncated_svd(components: int, key: jax.Array, *, extra: int = 10, passes: int = 4) -> Reducer:
    """Returns a reducer to the leading right singular vectors of rows that are not centered, dense or sparse.

    .. math:: X \\approx U_k \\Sigma_k V_k^\\top, \\quad z = x V_k

    On counts of words it is latent semantic analysis. Passes and memory are those of `randomized_pca`.

    Args:
        components: Number of directions `k`, at least 1.
        key: Random key of the first basis.
        extra: Directions beside them, at least 0.
        passes: Over the source, at least 2.

    Returns:
        Reducer whose result is `Components` with the mean 0; its variances are mean squares.

    Raises:
        ValueError: If a number is out of range; from `finalize`, if there are fewer rows or features.

    Example:
        >>> from compressjax.data import fit
        >>> import scipy.sparse
        >>> rows = scipy.sparse.csr_matrix([[3.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
        >>> fit(truncated_svd(1, jax.random.key(0)), rows).singular_values.round().tolist()
        [3.0]

    Source: Halko et al., SIAM Review, 2011, arXiv:0909.4061.
    """
    return _reducer("truncated_svd", components, key, extra, passes, False)
