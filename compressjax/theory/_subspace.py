"""Random subspaces of the parameters of a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np

from compressjax.core import dense
from compressjax.core._settings import as_int

PROJECTIONS = ("kronecker", "dense")


class Subspace(NamedTuple):
    """A subspace through a point; a pytree, so it may be an argument of `jit`.

    Attributes:
        start: The parameters at the origin.
        factors: One matrix `[weights, d]`, or the two factors of a Kronecker product.
        order: Where the rows of a Kronecker product go, int32 `[weights]`; None for a dense projection.
        scales: A factor a leaf, as a tree of scalars or arrays.
    """

    start: Any
    factors: tuple[jax.Array, ...]
    order: jax.Array | None
    scales: Any

    def expand(self, coordinates: Any, shape: Callable[[Any], Any] = lambda change: change) -> Any:
        """The parameters at coordinates `[d]`, an array or a node; `shape` maps the tree of changes linearly."""
        v = dense(coordinates).astype(jnp.float32)
        flat, unravel = jax.flatten_util.ravel_pytree(self.start)
        if self.order is None:
            change = self.factors[0] @ v
        else:
            left, right = self.factors
            grid = jnp.pad(v, (0, left.shape[1] * right.shape[1] - v.size)).reshape(left.shape[1], right.shape[1])
            change = (left @ grid @ right.T).reshape(-1)[self.order]
        tree = jax.tree.map(lambda x, s: x.astype(jnp.float32) * s, unravel(change.astype(flat.dtype)), self.scales)
        return jax.tree.map(lambda x, move: (x + move).astype(x.dtype), self.start, shape(tree))


def subspace(
    params: Any, dimension: int, key: jax.Array, *, projection: str = "kronecker", scales: Any = 1.0
) -> Subspace:
    """Returns a random subspace through some parameters; a file need only hold the coordinates of a model in it.

    .. math:: \\theta(v) = \\theta_0 + s \\odot P v, \\quad v \\in R^d

    Entries of a dense `P` are normal with variance `1 / weights`. The Kronecker product is `Q_1 \\otimes Q_2` with
    random orthonormal columns and its rows in random order: it takes `2 sqrt(weights d)` numbers, and a step costs
    hardly more than one of normal training. The start and `P` follow from the seed of the key, so the file is short.
    Neither may depend on the rows that a certificate is about.

    Args:
        params: The start `theta_0`, floating arrays; an untrained network.
        dimension: Coordinates `d`, 1 to the number of weights.
        key: Of the projection.
        projection: `"kronecker"` or `"dense"`, which holds a matrix `[weights, d]`.
        scales: How far leaves move, a number or a tree of numbers like `params`.

    Returns:
        The subspace; `subspace.expand(v)` gives parameters, and all zeros the start.

    Raises:
        ValueError: If there is a leaf that is not floating, the dimension is out of range or the projection unknown.

    Example:
        >>> space = subspace({"kernel": jnp.ones((3, 4))}, 5, jax.random.key(0))
        >>> space.expand(jnp.zeros(5))["kernel"].tolist()[0], space.expand(jnp.ones(5))["kernel"].shape
        ([1.0, 1.0, 1.0, 1.0], (3, 4))

    Source: Li et al., arXiv:1804.08838 (li2018); the Kronecker form: Lotfi et al., arXiv:2211.13609 (lotfi2022).
    """
    size = as_int("subspace", "dimension", dimension)
    leaves = jax.tree.leaves(params)
    if not leaves or not all(jnp.issubdtype(jnp.asarray(x).dtype, jnp.floating) for x in leaves):
        raise ValueError(
            "subspace: params must be a tree of floating arrays; take the parameters of an untrained network"
        )
    weights = sum(int(np.size(x)) for x in leaves)
    if not 1 <= size <= weights:
        raise ValueError(f"subspace: dimension={size} must be between 1 and the {weights} weights of the network")
    if projection not in PROJECTIONS:
        raise ValueError(f"subspace: projection={projection!r} is unknown; choose one of {', '.join(PROJECTIONS)}")
    like = jax.tree.map(lambda _: scales, params) if isinstance(scales, int | float) else scales
    structures: list[Any] = [jax.tree.structure(x) for x in (like, params)]
    if structures[0] != structures[1]:
        raise ValueError("subspace: scales must be a number, or a tree of numbers like params")
    if projection == "dense":
        matrix = jax.random.normal(key, (weights, size)) / math.sqrt(weights)
        return Subspace(params, (matrix,), None, like)
    keys = jax.random.split(key, 3)
    rows = math.isqrt(weights - 1) + 1
    columns = -(-weights // rows)
    left = min(rows, math.isqrt(size - 1) + 1)
    right = min(columns, -(-size // left))
    left = max(left, -(-size // right))
    order = jax.random.permutation(keys[0], rows * columns)[:weights].astype(jnp.int32)
    factors = (_orthonormal(keys[1], rows, left), _orthonormal(keys[2], columns, right))
    return Subspace(params, factors, order, like)


def _orthonormal(key: jax.Array, rows: int, columns: int) -> jax.Array:
    return jnp.linalg.qr(jax.random.normal(key, (rows, columns)))[0]
