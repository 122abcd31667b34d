"""Count, mean and scatter of the rows of every class."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.data._reducer import Reads, Reducer
from compressjax.data.selection._checks import check_class_counts
from compressjax.data.selection._selected import Selected, check_classes, select_by
from compressjax.data.sources._sparse import transposed_product
from compressjax.numerics._counts import Count, as_float, exact, plus

_HIGH = jax.lax.Precision.HIGHEST


class ClassMoments(NamedTuple):
    """Statistics by class: `rows [classes]`, `mean` and `scatter` of `[classes, features]`."""

    rows: Count
    mean: jax.Array
    scatter: jax.Array


def no_classes(features: int, classes: int) -> ClassMoments:
    """The statistics of no rows."""
    zeros = jnp.zeros((classes, features))
    return ClassMoments(exact(jnp.zeros(classes, jnp.int32)), zeros, zeros)


def by_class(x: jax.Array, y: jax.Array, classes: int) -> ClassMoments:
    """The statistics of rows `[n, features]` with classes `[n]`."""
    own = jax.nn.one_hot(y, classes, dtype=jnp.float32)
    rows = jnp.sum(own, axis=0)
    x = x.astype(jnp.float32)
    middle = jnp.mean(x, axis=0) if len(x) else jnp.zeros(x.shape[1])
    moved = jnp.matmul(own.T, x - middle[None], precision=_HIGH) / jnp.maximum(rows, 1)[:, None]
    mean = jnp.where(rows[:, None] > 0, moved + middle[None], 0.0)
    centered = x - jnp.matmul(own, mean, precision=_HIGH)
    scatter = jnp.matmul(own.T, centered**2, precision=_HIGH)
    return ClassMoments(exact(rows.astype(jnp.int32)), mean, scatter)


def means_by_class(x: Any, y: jax.Array, classes: int) -> ClassMoments:
    """The same without the scatter, which is 0; rows may be sparse."""
    own = jax.nn.one_hot(y, classes, dtype=jnp.float32)
    rows = jnp.sum(own, axis=0)
    sums = transposed_product(x.astype(jnp.float32), own).T
    mean = sums / jnp.maximum(rows, 1)[:, None]
    return ClassMoments(exact(rows.astype(jnp.int32)), mean, jnp.zeros_like(mean))


def merged_classes(a: ClassMoments, b: ClassMoments) -> ClassMoments:
    """The statistics of the rows of both, by Chan's rule for every class."""
    total = plus(a.rows, b.rows)
    n_a, n_b, n = (as_float(rows)[:, None] for rows in (a.rows, b.rows, total))
    share = n_b / jnp.maximum(n, 1)
    delta = b.mean - a.mean
    return ClassMoments(total, a.mean + delta * share, a.scatter + b.scatter + n_a * share * delta**2)


def between_and_within(state: ClassMoments) -> tuple[jax.Array, jax.Array]:
    """Sums of squares between the means of classes and within classes, by feature; 0 where there is only rounding."""
    rows = as_float(state.rows)[:, None]
    total = jnp.maximum(jnp.sum(rows), 1)
    middle = jnp.sum(state.mean * rows / total, axis=0)
    between = jnp.sum(rows * (state.mean - middle[None]) ** 2, axis=0)
    within = jnp.sum(state.scatter, axis=0)
    # Rounding of a constant feature leaves a variance of about eps^2 mean^2.
    least = total * (10 * jnp.finfo(jnp.float32).eps * middle) ** 2
    return jnp.where(between + within > least, between, 0.0), jnp.where(between + within > least, within, 0.0)


def select_by_class(
    who: str,
    k: int,
    classes: int,
    of_batch: Callable[[Any, jax.Array, int], ClassMoments],
    scored: Callable[[ClassMoments], jax.Array],
    **reads: Any,
) -> Reducer:
    """A reducer to the `k` features with the largest scores of their statistics by class."""
    k, classes = as_int(who, "k", k), check_classes(who, classes)

    def update(state: ClassMoments, batch: tuple[Any, jax.Array]) -> ClassMoments:
        return merged_classes(state, of_batch(*batch, classes))

    def finalize(state: ClassMoments) -> Selected:
        check_class_counts(who, as_float(state.rows))
        return select_by(scored(state), k)

    return Reducer(lambda features: no_classes(features, classes), update, merged_classes, finalize, f"{who}({k})",
                   Reads("classes", classes, **reads))  # fmt: skip
