"""How soon random cuts isolate a row: rows far out need few."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import integers
from compressjax.data._reducer import Reducer
from compressjax.data._sample import Sample, joined, no_sample, rows_in, sampled

_HIGH = jax.lax.Precision.HIGHEST


class Isolation(NamedTuple):
    """Trees of random cuts.

    Attributes:
        center: `[features]`.
        scale: `[features]`.
        directions: `[trees, depth, features]`, one for every tree and level.
        cuts: `[trees, 2^depth - 1]`, one for every node, by levels.
        sizes: `[trees, 2^(depth + 1) - 1]`, rows of the sample in every node, leaves included.
        usual: Mean length of a path among so many rows.
    """

    center: jax.Array
    scale: jax.Array
    directions: jax.Array
    cuts: jax.Array
    sizes: jax.Array
    usual: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Scores `[n, 1]`."""
        return self.scores(x)[:, None]

    def scores(self, x: Any) -> jax.Array:
        """Scores `[n]` in (0, 1): about 0.5 and below for usual rows, towards 1 for rows far out."""
        rows = (jnp.asarray(x, jnp.float32) - self.center[None]) / self.scale[None]

        def length(tree: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
            directions, cuts, sizes = tree
            along = jnp.matmul(rows, directions.T, precision=_HIGH)
            place, steps = jnp.zeros(len(rows), jnp.int32), jnp.zeros(len(rows))
            for level in range(directions.shape[0]):
                node = place + (2**level - 1)
                steps = steps + (sizes[node] > 1)
                place = 2 * place + (along[:, level] > cuts[node])
            return steps + mean_path(sizes[place + (2 ** directions.shape[0] - 1)])

        lengths = jax.lax.map(length, (self.directions, self.cuts, self.sizes))
        return 2 ** (-jnp.mean(lengths, axis=0) / self.usual)


def isolation_forest(
    *, trees: int = 100, rows: int = 256, sample: int = 8192, key: jax.Array | None = None
) -> Reducer:  # fmt: skip
    """Returns a reducer to trees of random projections and cuts, whose scores tell rows far out.

    .. math:: s(x) = 2^{-E[h(x)] / c(\\psi)}, \\quad c(n) = 2 H_{n - 1} - \\frac{2 (n - 1)}{n}

    `h` is the number of cuts until a row is alone. Cuts are across random directions, one a level and tree, after
    scaling; axes have no part in it. `finalize` does not run under `jit`.

    Args:
        trees: At least 1.
        rows: `psi`, rows a tree, at least 2.
        sample: Rows that trees draw from, at least `rows`.
        key: Random key of the sample and of the trees; None for `jax.random.key(0)`.

    Returns:
        Reducer whose result is `Isolation`, with `scores`.

    Raises:
        ValueError: If an argument is out of range; from `fit`, if there is one row.

    Example:
        >>> from compressjax.data import fit
        >>> x = np.concatenate([np.random.default_rng(0).normal(size=(63, 2)), [[9.0, 9.0]]])
        >>> int(fit(isolation_forest(trees=8, rows=32), x).scores(x).argmax())
        63

    Source: Liu, Ting and Zhou, ICDM 2008; cuts across directions, Hariri et al., arXiv:1811.02141 (hariri2018).
    """
    who = "isolation_forest"
    trees, rows, sample = integers(who, trees=trees, rows=rows, sample=sample)
    if trees < 1 or rows < 2 or sample < rows:
        raise ValueError(
            f"{who}: trees={trees} must be at least 1, rows={rows} at least 2, sample={sample} at least rows"
        )
    base = jax.random.key(0) if key is None else key

    def finalize(state: Sample) -> Isolation:
        x, _ = rows_in(state)
        if len(x) < 2:
            raise ValueError(f"{who}: {len(x)} rows cannot be told apart; it takes at least 2")
        deviation = x.std(0)
        center, scale = x.mean(0), np.where(deviation > 0, deviation, 1.0)
        scaled = jnp.asarray((x - center) / scale, jnp.float32)
        size = min(rows, len(x))
        depth = max(1, math.ceil(math.log2(size)))
        grown = _grown(scaled, jax.random.split(base, trees), size, depth)
        usual = mean_path(jnp.asarray(size, jnp.float32))
        return Isolation(jnp.asarray(center, jnp.float32), jnp.asarray(scale, jnp.float32), *grown, usual)

    return Reducer(lambda features: no_sample(sample, features, base), sampled, joined, finalize,
                   f"{who}({trees})")  # fmt: skip


def mean_path(n: jax.Array) -> jax.Array:
    """Mean number of cuts until a row among `n` is alone, 0 for `n <= 1`."""
    safe = jnp.maximum(n, 2.0)
    harmonic = jax.scipy.special.digamma(safe) + np.euler_gamma
    return jnp.where(n > 1, 2 * harmonic - 2 * (safe - 1) / safe, 0.0)


def _grown(x: jax.Array, keys: jax.Array, size: int, depth: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Directions, cuts and sizes of every tree."""

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        for_rows, for_directions, for_cuts = jax.random.split(key, 3)
        rows = x[jax.random.choice(for_rows, len(x), (size,), replace=False)]
        directions = jax.random.normal(for_directions, (depth, x.shape[1]))
        along = jnp.matmul(rows, directions.T, precision=_HIGH)
        share = jax.random.uniform(for_cuts, (2**depth - 1,))
        place, cuts, sizes = jnp.zeros(size, jnp.int32), [], []
        for level in range(depth):
            sizes.append(jnp.bincount(place, length=2**level))
            low = jnp.full(2**level, jnp.inf).at[place].min(along[:, level])
            high = jnp.full(2**level, -jnp.inf).at[place].max(along[:, level])
            there = sizes[-1] > 0
            width = jnp.where(there, high - low, 0.0)
            cuts.append(jnp.where(there, low, 0.0) + width * share[2**level - 1 : 2 ** (level + 1) - 1])
            place = 2 * place + (along[:, level] > cuts[-1][place])
        sizes.append(jnp.bincount(place, length=2**depth))
        return directions, jnp.concatenate(cuts), jnp.concatenate(sizes).astype(jnp.float32)

    grown: tuple[jax.Array, jax.Array, jax.Array] = jax.jit(lambda keys: jax.lax.map(one, keys))(keys)
    return grown
