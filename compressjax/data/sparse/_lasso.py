"""Sparse linear regression from one pass over the rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int, as_number, numbers
from compressjax.data._affine import Affine
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reads, Reducer
from compressjax.data.sparse._descent import SCREENING, Problem, path
from compressjax.numerics._counts import as_float
from compressjax.numerics._host import on_host

_HIGH = jax.lax.Precision.HIGHEST


class Linear(NamedTuple):
    """The function `x @ weights + intercept`, of few features.

    Attributes:
        weights: `[features]`, mostly 0.
        intercept: A number.
        gap: How far the objective is from the least one at most.
    """

    weights: jax.Array
    intercept: jax.Array
    gap: jax.Array

    def predict(self, x: Any) -> jax.Array:
        """Predictions `[n]`."""
        return jnp.matmul(jnp.asarray(x, jnp.float32), self.weights, precision=_HIGH) + self.intercept

    def transform(self, x: Any) -> jax.Array:
        """Predictions `[n, 1]`."""
        return self.predict(x)[:, None]

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        return Affine(self.weights[:, None], self.intercept[None])


class LinearPath(NamedTuple):
    """One function for every penalty.

    Attributes:
        penalties: `[m]`, from the largest.
        weights: `[m, features]`.
        intercepts: `[m]`.
        gaps: `[m]`, how far the objectives are from the least ones at most.
        kept: `[m]`, how many features the sweeps went over.
    """

    penalties: jax.Array
    weights: jax.Array
    intercepts: jax.Array
    gaps: jax.Array
    kept: jax.Array

    def predict(self, x: Any) -> jax.Array:
        """Predictions `[n, m]`."""
        return jnp.matmul(jnp.asarray(x, jnp.float32), self.weights.T, precision=_HIGH) + self.intercepts[None]

    def transform(self, x: Any) -> jax.Array:
        """Predictions `[n, m]`."""
        return self.predict(x)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        return Affine(self.weights.T, self.intercepts)


def lasso(
    penalty: float, *, share: float = 1.0, intercept: bool = True, screening: str = "gap-safe", tolerance: float = 1e-6,
    rounds: int = 200,
) -> Reducer:  # fmt: skip
    """Returns a reducer to a linear function of few features; with `share` below 1, an elastic net.

    .. math:: \\min_w \\tfrac{1}{2 n} \\|y - X w\\|^2 + \\alpha \\big(s \\|w\\|_1 + \\tfrac{1 - s}{2} \\|w\\|^2\\big)

    Coordinate descent on `X^T X`, which one pass adds up, so any number of rows fits. After a few sweeps, a solve takes
    the features in use to their minimum. The duality gap decides when to stop, and which features can be left out.

    Args:
        penalty: `alpha`, above 0.
        share: `s`, in (0, 1].
        intercept: Whether there is one.
        screening: "gap-safe" (never drops a feature that matters), "strong" (then all features are checked), "none".
        tolerance: Of the gap, as a share of the mean square of the targets.
        rounds: Of a few sweeps and a solve for the features in use, at most.

    Returns:
        Reducer of rows with numbers as labels, whose result is `Linear`.

    Raises:
        ValueError: If a number or name is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> x = jnp.array([[1.0, 0.1], [-1.0, 0.2], [2.0, -0.2], [-2.0, -0.1]])
        >>> fit(lasso(0.5), (x, 3 * x[:, 0])).weights.round().tolist()
        [3.0, 0.0]

    Source: Tibshirani, 1996; Friedman et al., 2010; Ndiaye et al., JMLR, 2017, arXiv:1611.05780.
    """
    _check("lasso", share, screening, tolerance, rounds)
    if as_number("lasso", "penalty", penalty) <= 0:
        raise ValueError(f"lasso: penalty={penalty} must be above 0; without one, solve least squares")

    def finalize(state: Moments) -> Linear:
        found = _along(state, jnp.asarray([penalty], jnp.float32), share, intercept, screening, tolerance, rounds)
        return Linear(found.weights[0], found.intercepts[0], found.gaps[0])

    return _reducer(finalize, intercept, f"lasso({penalty})")


def lasso_path(
    penalties: int | Sequence[float] = 100, *, share: float = 1.0, least: float = 1e-3, intercept: bool = True,
    screening: str = "strong", tolerance: float = 1e-6, rounds: int = 200,
) -> Reducer:  # fmt: skip
    """Returns a reducer to the lasso, or elastic net, for many penalties: each starts from the one before.

    .. math:: \\alpha_{max} = \\max_j |x_j^\\top y| / (n s), \\quad \\text{drop } j \\text{ if }
        |x_j^\\top r_{k-1}| / n < s (2 \\alpha_k - \\alpha_{k-1})

    Args:
        penalties: How many, in equal ratios from the largest that leaves anything; or the penalties.
        share: As for `lasso`.
        least: The last penalty over the first, in (0, 1).
        intercept: As for `lasso`.
        screening: As for `lasso`; the strong rule above drops most.
        tolerance: As for `lasso`.
        rounds: As for `lasso`.

    Returns:
        Reducer of rows with numbers as labels, whose result is a `LinearPath`.

    Raises:
        ValueError: If a number or name is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> x = jnp.array([[1.0, 0.1], [-1.0, 0.2], [2.0, -0.2], [-2.0, -0.1]])
        >>> (fit(lasso_path(3), (x, 3 * x[:, 0])).weights != 0).sum(1).tolist()
        [0, 1, 1]

    Source: Tibshirani et al., JRSS B, 2012, arXiv:1011.2234.
    """
    _check("lasso_path", share, screening, tolerance, rounds)
    many = isinstance(penalties, Sequence | np.ndarray | jax.Array)
    count = None if many else as_int("lasso_path", "penalties", penalties)
    given = np.sort(np.asarray(penalties, np.float32))[::-1] if many else None
    if (count is not None and count < 2) or (given is not None and not (len(given) and given[-1] > 0)):
        raise ValueError(f"lasso_path: penalties={penalties} must be at least 2, or numbers above 0")
    if not 0 < as_number("lasso_path", "least", least) < 1:
        raise ValueError(f"lasso_path: least={least} must be in (0, 1)")

    def finalize(state: Moments) -> LinearPath:
        top = jnp.max(jnp.abs(_products(state, intercept).cross)) / share
        wanted = top * least ** (jnp.arange(count) / (count - 1)) if count is not None else jnp.asarray(given)
        return _along(state, wanted, share, intercept, screening, tolerance, rounds)

    return _reducer(finalize, intercept, "lasso_path")


def _check(who: str, share: float, screening: str, tolerance: float, rounds: int) -> None:
    part, limit = numbers(who, share=share, tolerance=tolerance)
    if not 0 < part <= 1 or screening not in SCREENING or limit < 0 or as_int(who, "rounds", rounds) < 1:
        raise ValueError(f"{who}: share={share} must be in (0, 1], screening={screening!r} one of {SCREENING}, "
                         f"tolerance={tolerance} at least 0, rounds={rounds} at least 1")  # fmt: skip


def _reducer(finalize: Any, intercept: bool, name: str) -> Reducer:
    def update(state: Moments, batch: tuple[jax.Array, jax.Array]) -> Moments:
        host = on_host(batch[0]), on_host(batch[1])
        xp: Any = jnp if any(part is None for part in host) else np
        parts: Any = batch if xp is jnp else host
        rows, labels = parts
        joint = xp.concatenate([rows.astype(np.float32), labels[:, None].astype(np.float32)], axis=1)
        return merged(state, moments_of(joint, whole=True))

    def init(features: int) -> Moments:
        return no_moments(features + 1, whole=True)

    return Reducer(init, update, merged, finalize, name, Reads("numbers"), eager=True)


def _products(state: Moments, intercept: bool) -> Problem:
    """Products of features, of features with targets, and of targets, over the number of rows."""
    whole = state.scatter / jnp.maximum(as_float(state.rows), 1)
    if not intercept:
        whole = whole + jnp.outer(state.mean, state.mean)
    return Problem(whole[:-1, :-1], whole[:-1, -1], whole[-1, -1])


def _along(
    state: Moments, penalties: jax.Array, share: float, intercept: bool, screening: str, tolerance: float, rounds: int
) -> LinearPath:
    found = path(_products(state, intercept), penalties, float(share), screening, float(tolerance), int(rounds))
    shift = state.mean[-1] - jnp.matmul(found.weights, state.mean[:-1], precision=_HIGH)
    return LinearPath(penalties, found.weights, shift if intercept else jnp.zeros_like(shift), found.gaps, found.kept)
