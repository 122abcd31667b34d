"""How far two models may differ by rounding: the change of the results when every weight is rounded anew."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._tree import is_value

_FACTOR = 32  # sums in another order err by up to about the root of their length more than new weights do
_MOST = 0.05  # above this, agreement says nothing


def difference(expected: Any, got: Any) -> float:
    """The largest difference, relative to the largest result if that is above 1; infinite for other shapes or NaN."""
    a, b = jax.tree.leaves(expected), jax.tree.leaves(got)
    if [np.shape(x) for x in a] != [np.shape(x) for x in b]:
        return np.inf
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        wide_x, wide_y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        gap = np.abs(wide_x - wide_y).max(initial=0.0) / max(1.0, np.abs(wide_x).max(initial=0.0))
        worst = max(worst, float(gap)) if np.isfinite(gap) else np.inf
    return worst


def _rounded(params: Any) -> Any:
    """The weights with every entry moved by one unit of its last place, up or down."""
    draw = np.random.default_rng(0)

    def move(leaf: Any) -> Any:
        if not is_value(leaf):
            return leaf
        signs = draw.integers(0, 2, leaf.shape) * 2 - 1
        return (leaf * (1 + jnp.asarray(signs, leaf.dtype) * jnp.finfo(leaf.dtype).eps)).astype(leaf.dtype)

    return jax.tree.map(move, params)


class Agreement:
    """The largest difference that rounding explains, measured only where it is needed.

    .. math:: \\tau = \\max(\\tau_0, 32 \\, \\| f(w (1 \\pm \\epsilon)) - f(w) \\|)

    with a floor of 1e-5 for float32, 1e-9 for float64 and 8 epsilon for narrower results. It grows with depth and with
    ill-conditioned sums, as rounding errors do.
    """

    def __init__(self, expected: Any, run: Callable[[Any], Any], params: Any, tolerance: float | None) -> None:
        kinds = [x.dtype for x in jax.tree.leaves(expected) if hasattr(x, "dtype")]
        eps = max((float(jnp.finfo(d).eps) for d in kinds if jnp.issubdtype(d, jnp.floating)), default=1e-6)
        self.floor = max(8 * eps, 1e-9 if eps < 1e-12 else 1e-5) if tolerance is None else tolerance
        self._given = tolerance is not None
        self._expected, self._run, self._params = expected, run, params
        self._noise: float | None = None

    @property
    def noise(self) -> float:
        """The change of the results when every weight moves by one unit of its last place."""
        if self._noise is None:
            self._noise = difference(self._expected, self._run(_rounded(self._params)))
        return self._noise

    def allows(self, error: float) -> bool:
        """Whether rounding explains an error."""
        return error <= self.floor or (not self._given and error <= min(_FACTOR * self.noise, _MOST))

    def why(self, error: float) -> str:
        """How large an error is beside rounding, and what that means."""
        if not np.isfinite(error):
            return f"they differ by {error:.2g}: results are not finite, or have other shapes"
        allowed = self.floor if self._given else max(self.floor, min(_FACTOR * self.noise, _MOST))
        text = (
            f"they differ by {error:.2g} of the largest result, more than {allowed:.2g}; rounding every weight anew "
            f"changes the results by {self.noise:.2g}"
        )
        if error > 1000 * self.noise:
            return f"{text}, so this is no rounding: results are random, or an operation was cut wrongly"
        return f"{text}: sums are ill-conditioned; compare in float64 (jax_enable_x64), or give a higher tolerance"
