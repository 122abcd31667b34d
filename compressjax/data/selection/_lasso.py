"""Features, or groups of them, that a sparse linear model keeps."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int, as_number
from compressjax.data._moments import Moments, merged
from compressjax.data._reducer import Reducer
from compressjax.data.selection._block_lasso import block_lasso, check_groups
from compressjax.data.selection._checks import check_numbers
from compressjax.data.selection._joint import gram_and_cross, no_joint, reads_of, with_batch
from compressjax.data.selection._selected import Selected, select_by


def select_lasso(
    penalty: float, *, k: int | None = None, groups: Sequence[int] | None = None, classes: int | None = None,
    standardize: bool = True,
) -> Reducer:  # fmt: skip
    """Returns a reducer to the features with a coefficient in the lasso, the group lasso, or that of several outputs.

    .. math:: \\min_W \\tfrac{1}{2n} \\|Y - X W\\|_F^2 + \\alpha \\sum_g \\sqrt{|g|}\\, \\|W_g\\|_F

    on centered columns. Without groups and for one output this is the lasso; classes are a column each, so a feature
    stays for all classes or for none. One pass with memory `features^2`.

    Args:
        penalty: `alpha`, above 0; 0.1 of the largest covariance is a first guess.
        k: How many features, those with the largest coefficients; None for all that are not 0, which depends on
            values, so `finalize` then does not run under `jit`.
        groups: The group of every feature, which comes or goes as a whole; None for every feature alone.
        classes: Number of classes, at least 2; None for labels that are numbers.
        standardize: Whether columns are divided by their deviation first.

    Returns:
        Reducer of pairs (rows, labels) whose result is `Selected`, with sizes of coefficients as scores.

    Raises:
        ValueError: If an argument is out of range; from `fit`, if the penalty leaves no feature.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> fitted = fit(select_lasso(0.5), (rows, 2 * rows[:, 0] + 0.1 * rows[:, 1]))
        >>> fitted.places.tolist(), float(fitted.scores[1])
        ([0], 0.0)

    Source: Tibshirani, JRSS B, 1996; Yuan and Lin, JRSS B, 2006; Beck and Teboulle, SIAM Journal on Imaging, 2009.
    """
    who = "select_lasso"
    if not as_number(who, "penalty", penalty) > 0:
        raise ValueError(f"{who}: penalty={penalty} must be above 0")
    k = None if k is None else as_int(who, "k", k)

    def finalize(state: Moments) -> Selected:
        check_numbers(who, state, classes or 1)
        gram, cross = gram_and_cross(state, classes, standardize)
        places, weights = check_groups(who, groups, len(gram))
        sizes = jnp.linalg.norm(_solve(gram, cross, places, penalty, weights), axis=1)
        if k is not None:
            return select_by(sizes, k)
        kept = np.flatnonzero(np.asarray(sizes) > 0)
        if not len(kept):
            least = float(jnp.max(jnp.linalg.norm(cross, axis=1)))
            raise ValueError(f"{who}: penalty={penalty} leaves no feature; single features enter below {least:.4g}")
        return Selected(jnp.asarray(kept, jnp.int32), sizes)

    return Reducer(lambda features: no_joint(features, classes), lambda s, batch: with_batch(s, batch, classes), merged,
                   finalize, f"{who}({penalty})", reads_of(who, classes))  # fmt: skip


@jax.jit
def _solve(gram: jax.Array, cross: jax.Array, places: jax.Array, penalty: float, weights: jax.Array) -> jax.Array:
    return block_lasso(gram, cross, places, penalty, weights)
