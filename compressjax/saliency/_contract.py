"""The contract of a saliency: scores of the importance of weights."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax

from compressjax.core import kernels, values
from compressjax.core._checks import check_statistics
from compressjax.numerics import with_auto_axes
from compressjax.numerics._numerics import wide

Scores = dict[str, jax.Array]


class Saliency(NamedTuple):
    """Importance of every weight, as a pure function.

    Attributes:
        score: `score(params, stats=None) -> {path: array of the leaf's shape}`; higher means keep. Leaves without
            scores are absent.
        name: Static description, written to manifests.
        needs: Names of the statistics of `observe` that `score` reads.
        reduce: Reduction of `unit_scores` from weights to units.
        comparable: Whether scores of units in different groups have the same scale. If not, a global ranking divides
            the scores of each group by their mean.
    """

    score: Callable[..., Scores]
    name: str
    needs: tuple[str, ...] = ()
    reduce: str = "sum"
    comparable: bool = False


def from_params(name: str, score: Callable[[Any], Scores], **fields: Any) -> Saliency:
    """A saliency that reads no statistics."""
    return Saliency(lambda params, stats=None: score(params), name, **fields)


def on_leaves(name: str, score_leaf: Callable[[str, jax.Array], jax.Array]) -> Saliency:
    """Builds a saliency from a function of one array.

    Args:
        name: Static description.
        score_leaf: `(path, array) -> scores of the array's shape`; arrays of 16 and 8 bits are passed as float32.

    Returns:
        The saliency of every value.

    Example:
        >>> import jax.numpy as jnp
        >>> square = on_leaves("square", lambda path, x: x * x)
        >>> square.score({"kernel": jnp.array([[3.0, -1.0]])})["kernel"].tolist()
        [[9.0, 1.0]]
    """
    return from_params(name, lambda params: {path: score_leaf(path, wide(x)) for path, x in values(params).items()})


def on_inputs(name: str, needs: tuple[str, ...], score_leaf: Callable[[str, jax.Array, Any], jax.Array]) -> Saliency:
    """Builds a saliency from a function of one kernel and the statistics of its inputs.

    Args:
        name: Static description.
        needs: Names of the statistics that `score_leaf` reads.
        score_leaf: `(path, array, statistics) -> scores of the array's shape`.

    Returns:
        The saliency of every value that has statistics.

    Raises:
        ValueError: From `score`, if there are no statistics, or those of a leaf are unusable.

    Example:
        >>> import jax.numpy as jnp
        >>> count = on_inputs("count", ("count",), lambda path, x, stats: jnp.full(x.shape, stats))
        >>> count.score({"kernel": jnp.ones((1, 1))}, {"kernel": 2.0})["kernel"].tolist()
        [[2.0]]
    """

    def score(params: Any, stats: Mapping[str, Any] | None = None) -> Scores:
        flat = values(params)
        if not stats or not set(stats) & set(flat):
            raise ValueError(f"{name} reads statistics {needs}, absent for {_few(flat)}; run observe and pass stats=")
        leaves = {path: x for path, x in flat.items() if path in stats}
        check_statistics(name, {path: stats[path] for path in leaves})
        return {path: with_auto_axes(partial(score_leaf, path), x)(wide(x), stats[path]) for path, x in leaves.items()}

    return Saliency(score, name, needs)


def _few(flat: Mapping[str, Any]) -> list[str]:
    paths = [path for path, x in flat.items() if kernels(path, x)] or list(flat)
    return paths[:8]
