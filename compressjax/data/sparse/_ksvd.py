"""Dictionaries by K-SVD: codes with a fixed number of atoms, atoms one by one with their codes."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import integers
from compressjax.data._affine import reconstruction_error
from compressjax.data.sources._batches import rows_of
from compressjax.data.sparse._omp import pursued

_HIGH = jax.lax.Precision.HIGHEST
# Power iterations for the leading pair of an atom's errors; they start from the atom.
_POWER = 4
# Atoms with a larger cosine are one atom.
_ALIKE = 0.99


class Pursuit(NamedTuple):
    """Codes by orthogonal matching pursuit under atoms of length 1.

    Attributes:
        atoms: `[k, features]`.
        most: `[m]`, whose length is the number of atoms that a row may have.
    """

    atoms: jax.Array
    most: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Codes `[n, k]`."""
        return pursued(self.atoms, jnp.asarray(x, jnp.float32), len(self.most), 0.0)

    def inverse_transform(self, z: Any) -> jax.Array:
        """The combinations."""
        return jnp.matmul(jnp.asarray(z), self.atoms, precision=_HIGH)

    def reconstruction_error(self, x: Any) -> jax.Array:
        """Mean squared error of a row."""
        return reconstruction_error(self, x)


def ksvd(x: Any, atoms: int, nonzeros: int, key: jax.Array, *, steps: int = 20) -> Pursuit:
    """Learns a dictionary from rows in memory, with at most `nonzeros` atoms a row.

    .. math:: \\min_{C, D} \\|X - C D\\|_F^2, \\quad \\|c_i\\|_0 \\le s, \\quad \\|d_j\\| = 1

    Every atom becomes the leading singular vector of the errors without it, on the rows that use it, and their codes
    the other. An atom that no row uses, or that is another one again, becomes the row with the largest error.

    Args:
        x: `[n, features]`.
        atoms: Their number, at least 1 and at most `n`: they start as rows.
        nonzeros: `s`, at least 1 and at most `atoms`.
        key: Random key of the start.
        steps: At least 1.

    Returns:
        `Pursuit`.

    Raises:
        ValueError: If a number is out of range, or a value is not finite: its row and column are named.

    Example:
        >>> rows = jnp.array([[3.0, 0.0], [0.0, 2.0], [4.0, 0.0], [0.0, 5.0]])
        >>> bool(ksvd(rows, 3, 1, jax.random.key(0)).reconstruction_error(rows) < 1e-6)
        True

    Source: Aharon et al., IEEE Transactions on Signal Processing, 2006.
    """
    rows = rows_of("ksvd", x, 0).astype(jnp.float32)
    k, most, times = integers("ksvd", atoms=atoms, nonzeros=nonzeros, steps=steps)
    if not 1 <= k <= len(rows) or not 1 <= most <= k or times < 1:
        raise ValueError(
            f"ksvd: atoms={k} must be at least 1 and at most the {len(rows)} rows, nonzeros={most} in 1 to {k}, "
            f"steps={times} at least 1"
        )
    return Pursuit(_learned(rows, key, k, most, times), jnp.zeros(most, jnp.int8))


@functools.partial(jax.jit, static_argnums=(2, 3))
def _learned(x: jax.Array, key: jax.Array, k: int, most: int, steps: Any) -> jax.Array:
    noise, pick = jax.random.split(key)
    first = x[jax.random.permutation(pick, len(x))[:k]] + 1e-3 * jax.random.normal(noise, (k, x.shape[1]))
    first = first / jnp.maximum(jnp.linalg.norm(first, axis=1, keepdims=True), 1e-12)

    def atom(j: jax.Array, state: Any) -> Any:
        atoms, codes, rest = state
        used = codes[:, j] != 0
        errors = jnp.where(used[:, None], rest + codes[:, j][:, None] * atoms[j][None], 0)

        def turn(_: Any, direction: jax.Array) -> jax.Array:
            scores = jnp.matmul(errors, direction, precision=_HIGH)
            new = jnp.matmul(scores, errors, precision=_HIGH)
            length = jnp.linalg.norm(new)
            return jnp.where(length > 0, new / jnp.where(length > 0, length, 1), direction)

        new = jax.lax.fori_loop(0, _POWER, turn, atoms[j])
        worst = x[jnp.argmax(jnp.sum(rest**2, axis=1))]
        size = jnp.linalg.norm(worst)
        twin = jnp.any((jnp.abs(jnp.matmul(atoms, atoms[j], precision=_HIGH)) > _ALIKE) & (jnp.arange(k) < j))
        fresh = (twin | ~used.any()) & (size > 0)
        new = jnp.where(fresh, worst / jnp.where(size > 0, size, 1), new)
        scores = jnp.where(fresh, 0, jnp.matmul(errors, new, precision=_HIGH))
        rest = jnp.where(used[:, None], errors - scores[:, None] * new[None], rest)
        return atoms.at[j].set(new), codes.at[:, j].set(scores), rest

    def step(_: Any, atoms: jax.Array) -> jax.Array:
        codes = pursued(atoms, x, most, 0.0)
        rest = x - jnp.matmul(codes, atoms, precision=_HIGH)
        found: jax.Array = jax.lax.fori_loop(0, k, atom, (atoms, codes, rest))[0]
        return found

    return jax.lax.fori_loop(0, steps, step, first)
