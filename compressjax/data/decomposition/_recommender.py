"""Matrix factorization for recommenders, by alternating least squares."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import integers, numbers

_HIGH = jax.lax.Precision.HIGHEST
# Products of factors that are in memory at once, in entries.
_BLOCK = 2**22


class Recommender(NamedTuple):
    """Scores `mean + users @ items.T`.

    Attributes:
        mean: Of the ratings; 0 for implicit ones.
        users: `[users, k]`.
        items: `[items, k]`.
    """

    mean: jax.Array
    users: jax.Array
    items: jax.Array

    def predict(self, users: Any, items: Any) -> jax.Array:
        """Scores `[n]` of pairs."""
        u, v = self.users[jnp.asarray(users)], self.items[jnp.asarray(items)]
        return self.mean + jnp.sum(u * v, axis=-1)

    def scores(self, users: Any) -> jax.Array:
        """Scores `[n, items]` of all items."""
        return self.mean + jnp.matmul(self.users[jnp.asarray(users)], self.items.T, precision=_HIGH)


def als(
    users: Any, items: Any, ratings: Any, components: int, key: jax.Array, *, shape: tuple[int, int] | None = None,
    ridge: float = 0.1, steps: int = 15, confidence: float | None = None,
) -> Recommender:  # fmt: skip
    """Factorizes a sparse matrix of ratings: what is not rated is unknown, or with `confidence`, a weak no.

    .. math:: \\min \\sum_{rated} (r_{ui} - \\mu - p_u^\\top q_i)^2 + \\lambda \\Big(\\sum_u n_u \\|p_u\\|^2 +
        \\sum_i n_i \\|q_i\\|^2\\Big)

    With `confidence` the weights are `1 + a r` on the wish 1 of what was seen, and 1 on the wish 0 of all else; then
    the ridge is not scaled by counts. A step solves for all users, then for all items.

    Args:
        users: `[n]`, integers from 0.
        items: `[n]`, integers from 0.
        ratings: `[n]`, finite; at least 0 with `confidence`.
        components: `k`, at least 1.
        key: Random key of the start.
        shape: Numbers of users and items; the largest ones plus 1 if None.
        ridge: `lambda`, above 0.
        steps: At least 1.
        confidence: `a`, above 0, for implicit feedback such as counts.

    Returns:
        `Recommender`.

    Raises:
        ValueError: If an argument is out of range: the place in the lists is named.

    Example:
        >>> found = als([0, 0, 1, 1], [0, 1, 0, 1], [1.0, 2.0, 2.0, 4.0], 1, jax.random.key(0), ridge=1e-4, steps=30)
        >>> found.predict([1], [1]).round(1).tolist()
        [4.0]

    Source: Zhou et al., AAIM 2008; implicit, Hu et al., ICDM 2008.
    """
    k, most = integers("als", components=components, steps=steps)
    weight, trust = numbers("als", ridge=ridge, confidence=confidence)
    if k < 1 or most < 1 or weight <= 0 or (trust is not None and trust <= 0):
        raise ValueError(f"als: components={k} and steps={most} must be at least 1, ridge={ridge} and "
                         f"confidence={confidence} above 0")  # fmt: skip
    u, v, r = _checked(users, items, ratings, trust is not None)
    size = (
        (int(u.max()) + 1, int(v.max()) + 1)
        if shape is None
        else tuple(integers("als", users=shape[0], items=shape[1]))
    )
    for name, found, limit in (("user", u, size[0]), ("item", v, size[1])):
        if found.max() >= limit:
            raise ValueError(
                f"als: {name} {found.max()} at place {int(found.argmax())} is not below {limit}, as in shape"
            )
    mean = float(r.mean()) if trust is None else 0.0
    first = 0.1 * jax.random.normal(key, (size[1], k))
    padded = -len(r) % max(_BLOCK // k**2, 1) if len(r) * k**2 > _BLOCK else 0
    u, v, r = (
        np.pad(part, (0, padded), constant_values=fill) for part, fill in ((u, size[0]), (v, size[1]), (r, mean))
    )
    return _solve(jnp.asarray(u), jnp.asarray(v), jnp.asarray(r), first, size, mean, float(weight), trust, most)


def _checked(users: Any, items: Any, ratings: Any, implicit: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u, v, r = np.asarray(users), np.asarray(items), np.asarray(ratings, np.float32)
    if not (u.shape == v.shape == r.shape and r.ndim == 1 and len(r)):
        raise ValueError(f"als: users, items and ratings have shapes {u.shape}, {v.shape} and {r.shape}; pass three "
                         "lists of one length, at least 1")  # fmt: skip
    for name, found in (("users", u), ("items", v)):
        if not np.issubdtype(found.dtype, np.integer) or found.min() < 0:
            raise ValueError(f"als: {name} must be integers from 0, and are {found.dtype} with the least {found.min()}")
    bad = ~np.isfinite(r) | (implicit & (r < 0))
    if bad.any():
        place = int(bad.argmax())
        raise ValueError(f"als: the rating at place {place} is {r[place]}; drop it")
    return u.astype(np.int32), v.astype(np.int32), r


@functools.partial(jax.jit, static_argnums=4)
def _solve(
    u: jax.Array, v: jax.Array, r: jax.Array, items: jax.Array, size: tuple[int, int], mean: Any, ridge: Any,
    trust: Any, steps: Any,
) -> Recommender:  # fmt: skip
    wish, weights = (r - mean, jnp.ones_like(r)) if trust is None else (jnp.ones_like(r), 1 + trust * r)

    def side(own: jax.Array, other: jax.Array, factors: jax.Array, count: int) -> jax.Array:
        k = factors.shape[1]
        inner = weights - (0 if trust is None else 1)
        gram, targets, seen = _normal(own, other, inner, weights * wish, factors, count)
        everywhere = jnp.zeros((k, k)) if trust is None else jnp.matmul(factors.T, factors, precision=_HIGH)
        scale = jnp.maximum(seen, 1) if trust is None else jnp.ones(count)
        system = gram + everywhere[None] + ridge * scale[:, None, None] * jnp.eye(k)[None]
        return jnp.linalg.solve(system, targets[:, :, None])[:, :, 0]

    def step(_: Any, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        users = side(u, v, state[1], size[0])
        return users, side(v, u, users, size[1])

    users, found = jax.lax.fori_loop(0, steps, step, (jnp.zeros((size[0], items.shape[1])), items))
    return Recommender(jnp.float32(mean), users, found)


def _normal(
    own: jax.Array, other: jax.Array, inner: jax.Array, outer: jax.Array, factors: jax.Array, count: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums of weighted products, of weighted factors, and of ones, for everyone; what is out of range is dropped."""
    k = factors.shape[1]
    length = max(_BLOCK // k**2, 1) if len(own) * k**2 > _BLOCK else len(own)

    def add(state: Any, part: Any) -> Any:
        a, b, w, t = part
        rows = factors.at[b].get(mode="fill", fill_value=0)
        pairs = (w[:, None] * rows)[:, :, None] * rows[:, None, :]
        gram, targets, seen = state
        return (gram.at[a].add(pairs, mode="drop"), targets.at[a].add(t[:, None] * rows, mode="drop"),
                seen.at[a].add(1.0, mode="drop")), None  # fmt: skip

    start = (jnp.zeros((count, k, k)), jnp.zeros((count, k)), jnp.zeros(count))
    parts = jax.tree.map(lambda x: x.reshape(-1, length), (own, other, inner, outer))
    return jax.lax.scan(add, start, parts)[0]
