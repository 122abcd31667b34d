"""Nonnegative matrix factorization from batches: in passes, and online."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number, integers
from compressjax.data._affine import reconstruction_error
from compressjax.data._alternating import Alternation, in_passes, online, products, quadratic
from compressjax.data._coordinate import positive, settled
from compressjax.data._reducer import Reads, Reducer

_HIGH = jax.lax.Precision.HIGHEST
_TINY = 1e-12
# Moves of the parts after a pass. They cost little beside the codes, and make passes fewer.
_MOVES = 20
LOSSES, SOLVERS = ("frobenius", "kullback-leibler"), ("coordinate", "multiplicative")


class Parts(NamedTuple):
    """Rows as sums of `components [k, features]` with weights of at least 0, by least squares."""

    components: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """The weights `[n, k]`."""
        return _least_squares_codes(300, 1e-6, jnp.asarray(x, jnp.float32), self.components).T

    def inverse_transform(self, z: Any) -> jax.Array:
        """The sums."""
        return jnp.matmul(jnp.asarray(z), self.components, precision=_HIGH)

    def reconstruction_error(self, x: Any) -> jax.Array:
        """Mean squared error of a row."""
        return reconstruction_error(self, x)


class PoissonParts(NamedTuple):
    """Rows as sums of `components [k, features]` with weights of at least 0, by the divergence of counts."""

    components: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """The weights `[n, k]`."""
        return _divergence_codes(300, jnp.asarray(x, jnp.float32), self.components).T

    def inverse_transform(self, z: Any) -> jax.Array:
        """The sums."""
        return jnp.matmul(jnp.asarray(z), self.components, precision=_HIGH)


def _least_squares_codes(sweeps: int, tolerance: float, x: jax.Array, atoms: jax.Array) -> jax.Array:
    gram = jnp.matmul(atoms, atoms.T, precision=_HIGH)
    targets = jnp.matmul(atoms, x.T, precision=_HIGH)
    return settled(jnp.zeros_like(targets), gram, targets, positive, sweeps, tolerance)


def _divergence_codes(steps: int, x: jax.Array, atoms: jax.Array) -> jax.Array:
    mass = jnp.maximum(jnp.sum(atoms, axis=1), _TINY)[:, None]
    start = jnp.broadcast_to(jnp.sum(x, axis=1)[None] / jnp.sum(mass), (len(atoms), len(x)))

    def step(_: Any, codes: jax.Array) -> jax.Array:
        return codes * jnp.matmul(atoms, ratio(x, codes, atoms).T, precision=_HIGH) / mass

    return jax.lax.fori_loop(0, steps, step, start)


def ratio(x: jax.Array, codes: jax.Array, atoms: jax.Array) -> jax.Array:
    """Rows over the sums that stand for them."""
    return x / jnp.maximum(jnp.matmul(codes.T, atoms, precision=_HIGH), _TINY)


def _divergence_statistics(steps: int, x: jax.Array, atoms: jax.Array) -> tuple[jax.Array, jax.Array]:
    codes = _divergence_codes(steps, x, atoms)
    return jnp.sum(codes, axis=1), jnp.matmul(codes, ratio(x, codes, atoms), precision=_HIGH)


def _least_squares_statistics(sweeps: int, x: jax.Array, atoms: jax.Array) -> tuple[jax.Array, jax.Array]:
    # A fixed number of sweeps: what other rows of the batch need must not matter.
    return products(_least_squares_codes(sweeps, 0.0, x, atoms), x)


def _swept(atoms: jax.Array, gram: jax.Array, targets: jax.Array) -> jax.Array:
    return settled(atoms, gram, targets, positive, _MOVES, 1e-4)


def _multiplied(atoms: jax.Array, gram: jax.Array, targets: jax.Array) -> jax.Array:
    def step(_: Any, found: jax.Array) -> jax.Array:
        return found * targets / jnp.maximum(jnp.matmul(gram, found, precision=_HIGH), _TINY)

    return jax.lax.fori_loop(0, _MOVES, step, atoms)


def _scaled(atoms: jax.Array, mass: jax.Array, targets: jax.Array) -> jax.Array:
    return atoms * targets / jnp.maximum(mass, _TINY)[:, None]


def _draw(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    return jax.random.uniform(key, shape, minval=0.1, maxval=1.0)


def _way(loss: str, solver: str, inner: int) -> Alternation:
    if loss == "frobenius":
        improve = _multiplied if solver == "multiplicative" else _swept
        gather = functools.partial(_least_squares_statistics, inner)
        return Alternation(_draw, gather, improve, Parts, quadratic)
    gather = functools.partial(_divergence_statistics, inner)
    return Alternation(_draw, gather, _scaled, PoissonParts, lambda k, d: (jnp.zeros(k), jnp.zeros((k, d))))


def check_loss(who: str, loss: str, solver: str) -> None:
    """Raises on names that do not exist or do not go together."""
    if loss not in LOSSES or solver not in SOLVERS:
        raise ValueError(f"{who}: loss={loss!r} must be one of {LOSSES}, and solver={solver!r} one of {SOLVERS}")
    if loss == LOSSES[1] and solver == SOLVERS[0]:
        raise ValueError(f"{who}: the coordinate solver is for loss='frobenius'; pass solver='multiplicative'")


def nmf(
    components: int, key: jax.Array, *, loss: str = "frobenius", solver: str | None = None, passes: int = 50,
    inner: int = 20,
) -> Reducer:  # fmt: skip
    """Returns a reducer to sums of nonnegative parts, in flat memory: codes of the rows are never kept.

    .. math:: \\min_{W, H \\ge 0} \\tfrac12 \\|X - W H\\|_F^2 \\quad \\text{or} \\quad
        \\sum_{ij} X_{ij} \\ln \\frac{X_{ij}}{(W H)_{ij}} - X_{ij} + (W H)_{ij}

    Every pass finds the codes of every batch anew and adds up what the next `H` needs: `W^T W` and `W^T X`.

    Args:
        components: Number of parts, at least 1.
        key: Random key of the start.
        loss: "frobenius" or "kullback-leibler".
        solver: How `H` moves: "coordinate" (exact in every entry, the default for "frobenius"), or "multiplicative".
        passes: Over the source, at least 1.
        inner: Sweeps, or multiplicative steps, for the codes of a batch.

    Returns:
        Reducer whose result is `Parts` or `PoissonParts`. It refuses rows below 0 and names row and column.

    Raises:
        ValueError: If a number is below 1, or a name is unknown.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [2.0, 3.0, 4.0]])
        >>> fitted = fit(nmf(2, jax.random.key(0)), rows)
        >>> bool(fitted.reconstruction_error(rows) < 1e-4)
        True

    Source: Lee and Seung, NIPS 2000; Cichocki and Phan, IEICE Transactions, 2009.
    """
    k, times, steps = integers("nmf", components=components, passes=passes, inner=inner)
    chosen = solver or (SOLVERS[0] if loss == LOSSES[0] else SOLVERS[1])
    check_loss("nmf", loss, chosen)
    if min(k, times, steps) < 1:
        raise ValueError(f"nmf: components={k}, passes={times} and inner={steps} must be at least 1")
    return in_passes(_way(loss, chosen, steps), k, key, times, f"nmf({k})", Reads(low=0))


def online_nmf(
    components: int, key: jax.Array, *, size: int = 256, passes: int = 1, memory: float = 0.7, inner: int = 20
) -> Reducer:
    """Returns a reducer as `nmf` of squared errors that learns from every few rows, so one pass may be enough.

    .. math:: A \\leftarrow \\gamma A + W_b^\\top W_b, \\quad B \\leftarrow \\gamma B + W_b^\\top X_b, \\quad
        H \\leftarrow \\arg\\min_{H \\ge 0} \\tfrac12 tr(H^\\top A H) - tr(H^\\top B)

    Results depend on the order of rows; parts of several hosts are merged by `A` and `B`.

    Args:
        components: Number of parts, at least 1.
        key: Random key of the start.
        size: Rows between two changes of the parts, at least 1.
        passes: Over the source, at least 1.
        memory: `gamma`, in (0, 1].
        inner: Sweeps for the codes of a batch.

    Returns:
        Reducer whose result is `Parts`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.tile(jnp.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]), (40, 1))
        >>> bool(fit(online_nmf(2, jax.random.key(0), size=4), rows).reconstruction_error(rows) < 1e-3)
        True

    Source: Lefevre et al., WASPAA 2011, arXiv:1106.4198; Mairal et al., JMLR, 2010, arXiv:0908.0050.
    """
    k, rows, times, sweeps = integers("online_nmf", components=components, size=size, passes=passes, inner=inner)
    decay = as_number("online_nmf", "memory", memory)
    if min(k, rows, times, sweeps) < 1 or not 0 < decay <= 1:
        raise ValueError(f"online_nmf: components={k}, size={rows}, passes={times} and inner={sweeps} must be at least "
                         f"1, and memory={memory} in (0, 1]")  # fmt: skip
    way = _way("frobenius", "coordinate", sweeps)
    return online(way, k, key, times, rows, decay, f"online_nmf({k})", Reads(low=0))
