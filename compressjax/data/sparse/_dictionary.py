"""Dictionaries whose sparse combinations are the rows: in passes, and online."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number, integers
from compressjax.data._affine import reconstruction_error
from compressjax.data._alternating import Alternation, in_passes, online, products, quadratic
from compressjax.data._coordinate import settled, soft, unit_ball
from compressjax.data._reducer import Reads, Reducer

_HIGH = jax.lax.Precision.HIGHEST
# Sweeps over the atoms after a pass; they cost little beside the codes.
_MOVES = 5


class Dictionary(NamedTuple):
    """Sparse codes of rows under atoms of length at most 1.

    Attributes:
        atoms: `[k, features]`.
        penalty: Of the absolute values of codes.
    """

    atoms: jax.Array
    penalty: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Codes `[n, k]`."""
        return _codes(self.penalty, 300, 1e-5, jnp.asarray(x, jnp.float32), self.atoms).T

    def inverse_transform(self, z: Any) -> jax.Array:
        """The combinations."""
        return jnp.matmul(jnp.asarray(z), self.atoms, precision=_HIGH)

    def reconstruction_error(self, x: Any) -> jax.Array:
        """Mean squared error of a row."""
        return reconstruction_error(self, x)


def _codes(penalty: Any, sweeps: int, tolerance: float, x: jax.Array, atoms: jax.Array) -> jax.Array:
    gram, targets = jnp.matmul(atoms, atoms.T, precision=_HIGH), jnp.matmul(atoms, x.T, precision=_HIGH)
    return settled(jnp.zeros_like(targets), gram, targets, soft(penalty), sweeps, tolerance)


def _draw(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    found = jax.random.normal(key, shape)
    return found / jnp.linalg.norm(found, axis=1, keepdims=True)


def _improve(atoms: jax.Array, gram: jax.Array, targets: jax.Array) -> jax.Array:
    return jax.lax.fori_loop(0, _MOVES, lambda _, found: unit_ball(found, gram, targets), atoms)


def _way(penalty: float, inner: int) -> Alternation:
    def gather(x: jax.Array, atoms: jax.Array) -> tuple[jax.Array, jax.Array]:
        # A fixed number of sweeps: what other rows of the batch need must not matter.
        return products(_codes(penalty, inner, 0.0, x, atoms), x)

    return Alternation(_draw, gather, _improve, lambda atoms: Dictionary(atoms, jnp.float32(penalty)), quadratic)


def dictionary_learning(
    atoms: int, key: jax.Array, *, penalty: float = 1.0, passes: int = 30, inner: int = 20
) -> Reducer:
    """Returns a reducer to sparse codes under a dictionary that it learns, in flat memory.

    .. math:: \\min_{C, D} \\tfrac12 \\|X - C D\\|_F^2 + \\lambda \\|C\\|_1, \\quad \\|d_j\\| \\le 1

    Every pass finds the codes of every batch and adds up `C^T C` and `C^T X`, from which the atoms move.

    Args:
        atoms: Their number, at least 1; more than features is usual.
        key: Random key of the start.
        penalty: `lambda`, above 0.
        passes: Over the source, at least 1.
        inner: Sweeps of coordinate descent for the codes.

    Returns:
        Reducer whose result is a `Dictionary`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[3.0, 0.0], [0.0, 2.0], [4.0, 0.0], [0.0, 5.0]])
        >>> fitted = fit(dictionary_learning(2, jax.random.key(0), penalty=0.1), rows)
        >>> (jnp.abs(fitted.transform(rows)) > 1e-3).sum(1).tolist()
        [1, 1, 1, 1]

    Source: Mairal et al., JMLR, 2010, arXiv:0908.0050.
    """
    k, times, sweeps, _ = _check("dictionary_learning", atoms, passes, inner, 1, penalty, 1.0)
    return in_passes(_way(float(penalty), sweeps), k, key, times, f"dictionary_learning({k})", Reads())


def online_dictionary(
    atoms: int, key: jax.Array, *, penalty: float = 1.0, size: int = 256, passes: int = 1, memory: float = 0.95,
    inner: int = 20,
) -> Reducer:  # fmt: skip
    """Returns a reducer as `dictionary_learning` that learns from every few rows, so one pass may be enough.

    .. math:: A \\leftarrow \\gamma A + C_b^\\top C_b, \\quad B \\leftarrow \\gamma B + C_b^\\top X_b, \\quad
        d_j \\leftarrow \\Pi\\Big(d_j + \\frac{B_j - A_j D}{A_{jj}}\\Big)

    Results depend on the order of rows; parts of several hosts are merged by `A` and `B`.

    Args:
        atoms: As for `dictionary_learning`.
        key: As for `dictionary_learning`.
        penalty: As for `dictionary_learning`.
        size: Rows between two changes of the atoms, at least 1.
        passes: Over the source, at least 1.
        memory: `gamma`, in (0, 1].
        inner: As for `dictionary_learning`.

    Returns:
        Reducer whose result is a `Dictionary`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.tile(jnp.array([[3.0, 0.0], [0.0, 2.0]]), (20, 1))
        >>> fitted = fit(online_dictionary(2, jax.random.key(0), penalty=0.1, size=4), rows)
        >>> bool(fitted.reconstruction_error(rows) < 0.1)
        True

    Source: Mairal et al., JMLR, 2010, arXiv:0908.0050.
    """
    k, times, sweeps, rows = _check("online_dictionary", atoms, passes, inner, size, penalty, memory)
    way = _way(float(penalty), sweeps)
    return online(way, k, key, times, rows, float(memory), f"online_dictionary({k})", Reads())


def _check(who: str, atoms: int, passes: int, inner: int, size: int, penalty: float, memory: float) -> list[int]:
    found = list(integers(who, atoms=atoms, passes=passes, inner=inner, size=size))
    if min(found) < 1 or as_number(who, "penalty", penalty) <= 0 or not 0 < as_number(who, "memory", memory) <= 1:
        raise ValueError(f"{who}: atoms={atoms}, passes={passes}, inner={inner} and size={size} must be at least 1, "
                         f"penalty={penalty} above 0, memory={memory} in (0, 1]")  # fmt: skip
    return found
