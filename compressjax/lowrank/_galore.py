"""GaLore: optimizers whose moments live in the leading directions of the gradients."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._paths import map_with_path, path_string
from compressjax.core._select import Selector, kernels, matches
from compressjax.core._settings import as_int, as_number


class GaloreState(NamedTuple):
    """State of `galore`: steps done, directions of every leaf (None for those that stay whole), the optimizer's."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    directions: Any
    inner: Any


def galore(
    optimizer: optax.GradientTransformation,
    rank: int,
    *,
    every: int = 200,
    scale: float = 0.25,
    select: Selector = kernels,
) -> optax.GradientTransformation:
    """Returns an optimizer that sees gradients within their leading singular vectors, and keeps moments of that size.

    .. math:: u = \\alpha P\\, opt(P^T G), \\qquad P = U_r, \\; U \\Sigma V^T = G \\text{ every } T \\text{ steps}

    for matrices with fewer rows than columns, and from the right for others. Weights stay whole and train in full rank
    over time; moments take `r (in + out)` numbers instead of two or more times `in out`. The moments are kept when the
    directions change. Kernels are matrices of all but the last axis by the last. Weight decay of `optimizer` acts
    within the directions; `optax.add_decayed_weights` after it acts on all.

    Args:
        optimizer: Any optax transformation, such as `optax.adam(1e-2)`.
        rank: `r`, at least 1; leaves whose smaller side is not larger stay whole.
        every: `T`, at least 1.
        scale: `alpha`, above 0.
        select: Leaves with two or more axes that are projected.

    Returns:
        A gradient transformation.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> tx = galore(optax.adam(1e-2), 2)
        >>> state = tx.init({"kernel": jnp.ones((8, 32)), "bias": jnp.ones(32)})
        >>> state.inner[0].mu["kernel"].shape, state.directions["kernel"].shape, state.directions["bias"] is None
        ((2, 32), (8, 2), True)

    Source: Zhao et al., arXiv:2403.03507 (zhao2024).
    """
    r, period, size = (
        as_int("galore", "rank", rank),
        as_int("galore", "every", every),
        as_number("galore", "scale", scale),
    )
    if r < 1 or period < 1 or not size > 0:
        raise ValueError(f"galore: rank={rank} and every={every} must be at least 1, scale={scale} above 0")

    def start(place: Any, x: Any) -> Any:
        if len(x.shape) < 2 or not matches(select, path_string(place), x):
            return None
        m, n = _sides(x)
        # Where nothing has been seen yet, any directions do: the first step finds others.
        return jnp.eye(min(m, n), r, dtype=jnp.float32) if min(m, n) > r else None

    def init(params: Any) -> GaloreState:
        directions = map_with_path(start, params)
        return GaloreState(jnp.zeros((), jnp.int32), directions, optimizer.init(_each(_into, params, directions)))

    def update(grads: Any, state: GaloreState, params: Any = None) -> tuple[Any, GaloreState]:
        def found() -> Any:
            return _each(functools.partial(_leading, r), grads, state.directions)

        directions = jax.lax.cond(state.count % period == 0, found, lambda: state.directions)
        low = _each(_into, grads, directions)
        within = None if params is None else _each(_into, params, directions)
        steps, inner = optimizer.update(low, state.inner, within)
        out = jax.tree.map(lambda g, d, u: u if d is None else _back(g, d, u, size), grads, directions, steps)
        return out, GaloreState(state.count + 1, directions, inner)

    return optax.GradientTransformation(init, update)


def _sides(x: Any) -> tuple[int, int]:
    n = x.shape[-1]
    return x.size // max(n, 1), n


def _each(f: Any, tree: Any, directions: Any) -> Any:
    """`f(leaf, its directions)`; `_leading` gives None and `_into` the leaf where there are none."""
    structure: Any = jax.tree.structure(tree)
    pairs = zip(structure.flatten_up_to(tree), structure.flatten_up_to(directions), strict=True)
    return jax.tree.unflatten(structure, [f(x, d) for x, d in pairs])


def _leading(r: int, g: jax.Array, directions: jax.Array | None) -> jax.Array | None:
    if directions is None:
        return None
    m, n = _sides(g)
    matrix = g.astype(jnp.float32).reshape(m, n)
    left, _, right = jnp.linalg.svd(matrix, full_matrices=False)
    return left[:, :r] if m <= n else right[:r].T


def _into(x: jax.Array, directions: jax.Array | None) -> jax.Array:
    if directions is None:
        return x
    m, n = _sides(x)
    matrix = x.astype(jnp.float32).reshape(m, n)
    return directions.T @ matrix if m <= n else matrix @ directions


def _back(x: jax.Array, directions: jax.Array, step: jax.Array, scale: float) -> jax.Array:
    m, n = _sides(x)
    whole = directions @ step if m <= n else step @ directions.T
    return (scale * whole).reshape(x.shape).astype(x.dtype)
