"""Nonnegative matrix factorization of a matrix in memory, which keeps the codes of all rows."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number, integers
from compressjax.data._coordinate import positive, sweep
from compressjax.data._reducer import Reads
from compressjax.data.decomposition._nmf import LOSSES, SOLVERS, Parts, PoissonParts, check_loss, ratio
from compressjax.data.sources._batches import rows_of

_HIGH = jax.lax.Precision.HIGHEST
# As in scikit-learn, what divides is at least the spacing of float32 at 1.
_TINY = 1.1920929e-07


class Factorized(NamedTuple):
    """`x = codes @ parts.components`, nearly.

    Attributes:
        codes: `[n, k]`, at least 0.
        parts: `Parts` or `PoissonParts`.
        steps: How many steps were taken.
    """

    codes: jax.Array
    parts: Any
    steps: jax.Array


def nmf_of(
    x: Any, components: int, key: jax.Array, *, loss: str = "frobenius", solver: str | None = None, steps: int = 200,
    tolerance: float = 1e-4, start: tuple[Any, Any] | None = None,
) -> Factorized:  # fmt: skip
    """Factorizes a matrix in memory into nonnegative codes and parts; faster than `nmf`, as codes are kept.

    .. math:: \\min_{W, H \\ge 0} \\tfrac12 \\|X - W H\\|_F^2 \\quad \\text{or} \\quad
        \\sum_{ij} X_{ij} \\ln \\frac{X_{ij}}{(W H)_{ij}} - X_{ij} + (W H)_{ij}

    A step moves all codes, then all parts. The coordinate solver stops when the moves of a step, times the
    curvatures, are below `tolerance` times those of the first.

    Args:
        x: `[n, features]`, at least 0.
        components: Number of parts, at least 1.
        key: Random key of the start.
        loss: "frobenius" or "kullback-leibler".
        solver: "coordinate" (the default for "frobenius") or "multiplicative".
        steps: At most, at least 1.
        tolerance: At least 0; the multiplicative solver takes all steps.
        start: Codes `[n, k]` and parts `[k, features]` to begin with, above 0 for the multiplicative solver.

    Returns:
        `Factorized`.

    Raises:
        ValueError: If an entry is below 0 or not finite (row and column are named), or an argument is out of range.

    Example:
        >>> found = nmf_of(jnp.array([[1.0, 2.0], [2.0, 4.0]]), 1, jax.random.key(0))
        >>> found.parts.inverse_transform(found.codes).round().tolist()
        [[1.0, 2.0], [2.0, 4.0]]

    Source: Lee and Seung, NIPS 2000; Cichocki and Phan, IEICE Transactions, 2009.
    """
    k, most = integers("nmf_of", components=components, steps=steps)
    chosen = solver or (SOLVERS[0] if loss == LOSSES[0] else SOLVERS[1])
    check_loss("nmf_of", loss, chosen)
    if k < 1 or most < 1 or as_number("nmf_of", "tolerance", tolerance) < 0:
        raise ValueError(
            f"nmf_of: components={k} and steps={most} must be at least 1, tolerance={tolerance} at least 0"
        )
    rows = rows_of("nmf_of", x, 0, Reads(low=0)).astype(jnp.float32)
    if start is None:
        scale = jnp.sqrt(jnp.mean(rows) / k)
        keys, shapes = jax.random.split(key), ((len(rows), k), (k, rows.shape[1]))
        codes, atoms = (scale * jnp.abs(jax.random.normal(i, shape)) for i, shape in zip(keys, shapes))
    else:
        codes, atoms = (jnp.asarray(part, jnp.float32) for part in start)
    if codes.shape != (len(rows), k) or atoms.shape != (k, rows.shape[1]):
        raise ValueError(f"nmf_of: start has shapes {codes.shape} and {atoms.shape}; it takes {(len(rows), k)} and "
                         f"{(k, rows.shape[1])}")  # fmt: skip
    run = _coordinate if chosen == SOLVERS[0] else functools.partial(_multiplicative, loss)
    codes, atoms, taken = run(rows, codes.T, atoms, most, float(tolerance))
    return Factorized(codes.T, (Parts if loss == LOSSES[0] else PoissonParts)(atoms), taken)


@jax.jit
def _coordinate(x: jax.Array, codes: jax.Array, atoms: jax.Array, steps: Any, tolerance: Any) -> Any:
    def unfinished(state: Any) -> jax.Array:
        return (state[2] < steps) & (state[3] > tolerance * state[4])

    def step(state: Any) -> Any:
        codes, atoms, done, _, first = state
        gram, targets = jnp.matmul(atoms, atoms.T, precision=_HIGH), jnp.matmul(atoms, x.T, precision=_HIGH)
        codes, moved = sweep(codes, gram, targets, positive)
        gram, targets = jnp.matmul(codes, codes.T, precision=_HIGH), jnp.matmul(codes, x, precision=_HIGH)
        atoms, also = sweep(atoms, gram, targets, positive)
        return codes, atoms, done + 1, moved + also, jnp.where(done == 0, moved + also, first)

    start = (codes, atoms, jnp.zeros((), jnp.int32), jnp.full((), jnp.inf), jnp.zeros(()))
    return jax.lax.while_loop(unfinished, step, start)[:3]


@functools.partial(jax.jit, static_argnums=0)
def _multiplicative(loss: str, x: jax.Array, codes: jax.Array, atoms: jax.Array, steps: Any, tolerance: Any) -> Any:
    def quadratic(_: Any, state: Any) -> Any:
        codes, atoms = state
        below = jnp.matmul(jnp.matmul(atoms, atoms.T, precision=_HIGH), codes, precision=_HIGH)
        codes = codes * jnp.matmul(atoms, x.T, precision=_HIGH) / jnp.maximum(below, _TINY)
        below = jnp.matmul(jnp.matmul(codes, codes.T, precision=_HIGH), atoms, precision=_HIGH)
        return codes, atoms * jnp.matmul(codes, x, precision=_HIGH) / jnp.maximum(below, _TINY)

    def divergence(_: Any, state: Any) -> Any:
        codes, atoms = state
        mass = jnp.maximum(jnp.sum(atoms, axis=1), _TINY)[:, None]
        codes = codes * jnp.matmul(atoms, ratio(x, codes, atoms).T, precision=_HIGH) / mass
        mass = jnp.maximum(jnp.sum(codes, axis=1), _TINY)[:, None]
        return codes, atoms * jnp.matmul(codes, ratio(x, codes, atoms), precision=_HIGH) / mass

    found = jax.lax.fori_loop(0, steps, quadratic if loss == LOSSES[0] else divergence, (codes, atoms))
    return *found, jnp.asarray(steps, jnp.int32)
