"""A low-rank and a sparse part of one matrix."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int, numbers
from compressjax.data.sources._batches import rows_of

_HIGH = jax.lax.Precision.HIGHEST


class Separated(NamedTuple):
    """`x = low + sparse`, nearly.

    Attributes:
        low: `[n, features]`, of low rank.
        sparse: `[n, features]`, mostly 0.
        error: The larger of `|x - low - sparse| / |x|` and the last move of the sparse part over `|x|`.
        steps: How many singular value decompositions were taken.
    """

    low: jax.Array
    sparse: jax.Array
    error: jax.Array
    steps: jax.Array


def robust_pca(x: Any, penalty: float | None = None, *, tolerance: float = 1e-6, steps: int = 500) -> Separated:
    """Separates a matrix into a low-rank one and a sparse one: a background and what moves, rows and gross errors.

    .. math:: \\min \\|L\\|_* + \\lambda \\|S\\|_1 \\quad \\text{with} \\quad L + S = X, \\quad
        \\lambda = 1 / \\sqrt{\\max(n, d)}

    Alternating directions with the constant weight `n d / (4 |X|_1)` of the constraint. Under the conditions of the
    paper, both parts are recovered exactly.

    Args:
        x: `[n, features]`, finite.
        penalty: `lambda`, above 0; None for the one above.
        tolerance: On the error, above 0; in float32 about 1e-6 can be reached.
        steps: At most, at least 1.

    Returns:
        `Separated`.

    Raises:
        ValueError: If an argument is out of range, or a value is not finite: its row and column are named.

    Example:
        >>> x = jnp.ones((30, 30)).at[4, 2].set(9.0)
        >>> found = robust_pca(x)
        >>> float(found.sparse[4, 2].round(1)), float(jnp.abs(found.low - 1).max().round(2))
        (8.0, 0.0)

    Source: Candes et al., Journal of the ACM, 2011, arXiv:0912.3599.
    """
    rows = rows_of("robust_pca", x, 0).astype(jnp.float32)
    weight, limit = numbers("robust_pca", penalty=penalty, tolerance=tolerance)
    most = as_int("robust_pca", "steps", steps)
    if (weight is not None and weight <= 0) or limit <= 0 or most < 1:
        raise ValueError(f"robust_pca: penalty={penalty} and tolerance={tolerance} must be above 0, steps={most} at "
                         "least 1")  # fmt: skip
    return _separate(rows, 1 / max(rows.shape) ** 0.5 if weight is None else float(weight), float(limit), most)


@jax.jit
def _separate(x: jax.Array, penalty: Any, tolerance: Any, steps: Any) -> Separated:
    size = jnp.maximum(jnp.linalg.norm(x), 1e-30)
    mu = x.size / (4 * jnp.maximum(jnp.sum(jnp.abs(x)), 1e-30))

    def shrink(a: jax.Array, by: jax.Array) -> jax.Array:
        return jnp.sign(a) * jnp.maximum(jnp.abs(a) - by, 0)

    def step(state: Any) -> Any:
        sparse, dual, _, _, done = state
        left, values, right = jnp.linalg.svd(x - sparse + dual / mu, full_matrices=False)
        low = jnp.matmul(left * shrink(values, 1 / mu)[None], right, precision=_HIGH)
        new = shrink(x - low + dual / mu, penalty / mu)
        rest = x - low - new
        # The constraint can hold while the parts still move, so both must come to rest.
        error = jnp.maximum(jnp.linalg.norm(rest), jnp.linalg.norm(new - sparse)) / size
        return new, dual + mu * rest, low, error, done + 1

    start = (jnp.zeros_like(x), jnp.zeros_like(x), jnp.zeros_like(x), jnp.full((), jnp.inf), jnp.zeros((), jnp.int32))
    sparse, _, low, error, done = jax.lax.while_loop(lambda s: (s[4] < steps) & (s[3] > tolerance), step, start)
    return Separated(low, sparse, error, done)
