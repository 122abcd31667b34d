"""Sparse codes by iterative shrinkage, with and without momentum."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int, as_number
from compressjax.data.sparse._omp import check_atoms

_HIGH = jax.lax.Precision.HIGHEST


def fista(atoms: Any, x: Any, penalty: float, *, steps: int = 200, positive: bool = False) -> jax.Array:
    """Codes rows by sparse combinations of atoms, by gradient steps, shrinkage and momentum.

    .. math:: \\min_c F(c) = \\tfrac12 \\|x - c D\\|^2 + \\lambda \\|c\\|_1, \\quad
        t_{k+1} = \\tfrac12 \\big(1 + \\sqrt{1 + 4 t_k^2}\\big), \\quad
        F(c_k) - F^* \\le \\frac{2 L \\|c_0 - c^*\\|^2}{(k + 1)^2}

    Every step is one product with `D D^T` for all rows, so it runs well on accelerators.

    Args:
        atoms: `D [k, features]`.
        x: `[n, features]`.
        penalty: `lambda`, at least 0.
        steps: At least 1.
        positive: Whether codes must be at least 0.

    Returns:
        Codes `[n, k]`.

    Raises:
        ValueError: If shapes or numbers do not fit, or a value is not finite: its row and column are named.

    Example:
        >>> fista(jnp.eye(2), jnp.array([[3.0, 0.5]]), 1.0).round(3).tolist()
        [[2.0, 0.0]]

    Source: Beck and Teboulle, SIAM Journal on Imaging Sciences, 2009.
    """
    return _run("fista", atoms, x, penalty, steps, positive, True)


def ista(atoms: Any, x: Any, penalty: float, *, steps: int = 200, positive: bool = False) -> jax.Array:
    """Codes rows as `fista`, without momentum: slower, and the objective falls in every step.

    .. math:: c_{k+1} = S_{\\lambda / L}\\big(c_k + \\tfrac1L (x - c_k D) D^\\top\\big), \\quad
        F(c_k) - F^* \\le \\frac{L \\|c_0 - c^*\\|^2}{2 k}

    Args:
        atoms: As for `fista`.
        x: As for `fista`.
        penalty: As for `fista`.
        steps: As for `fista`.
        positive: As for `fista`.

    Returns:
        Codes `[n, k]`.

    Raises:
        ValueError: As `fista`.

    Example:
        >>> ista(jnp.eye(2), jnp.array([[3.0, 0.5]]), 1.0).round(3).tolist()
        [[2.0, 0.0]]

    Source: Daubechies et al., 2004, arXiv:math/0307152.
    """
    return _run("ista", atoms, x, penalty, steps, positive, False)


def _run(who: str, atoms: Any, x: Any, penalty: float, steps: int, positive: bool, momentum: bool) -> jax.Array:
    base, rows = check_atoms(who, atoms, x)
    weight, most = as_number(who, "penalty", penalty), as_int(who, "steps", steps)
    if weight < 0 or most < 1:
        raise ValueError(f"{who}: penalty={penalty} must be at least 0, steps={steps} at least 1")
    return _shrunk(base, rows, float(weight), most, bool(positive), momentum)


@functools.partial(jax.jit, static_argnums=(4, 5))
def _shrunk(atoms: jax.Array, x: jax.Array, penalty: Any, steps: Any, positive: bool, momentum: bool) -> jax.Array:
    gram = jnp.matmul(atoms, atoms.T, precision=_HIGH)
    targets = jnp.matmul(x, atoms.T, precision=_HIGH)
    slope = jnp.maximum(jnp.linalg.eigvalsh(gram)[-1], 1e-30)

    def shrunk(at: jax.Array) -> jax.Array:
        moved = at + (targets - jnp.matmul(at, gram, precision=_HIGH)) / slope
        if positive:
            return jnp.maximum(moved - penalty / slope, 0)
        return jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - penalty / slope, 0)

    def step(_: Any, state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        last, ahead, t = state
        new = shrunk(ahead)
        following = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        further = (t - 1) / following if momentum else 0.0
        return new, new + further * (new - last), following

    zero = jnp.zeros_like(targets)
    return jax.lax.fori_loop(0, steps, step, (zero, zero, jnp.ones(())))[0]
