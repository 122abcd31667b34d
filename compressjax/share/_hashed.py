"""Weights tied by a fixed pattern: hashing, circulant blocks, Toeplitz matrices."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, on_values
from compressjax.core._settings import as_int, as_number
from compressjax.core._unfit import UnfitError, each
from compressjax.numerics import with_auto_axes
from compressjax.numerics._numerics import wide
from compressjax.tensors import Patterned


class _Plan(NamedTuple):
    """Shape of the values of one leaf, and the metadata of its node."""

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    pattern: str
    seed: int = 0


Build = Callable[[str, tuple[int, ...]], _Plan]


def hashed(ratio: float, *, seed: int = 0) -> Compression:
    """Ties the entries of a leaf in random groups that a hash of their places chooses.

    .. math:: \\hat W_i = \\xi_i v_{h_i}, \\qquad v_m = \\mathrm{mean}\\{\\xi_i W_i : h_i = m\\}

    The groups cost no bytes, since the hash gives them back. A mean of trained weights keeps little of them, so train
    with it from the start; means of `1 / ratio` random weights are smaller by `sqrt(ratio)`, so draw the first weights
    larger by that. Products look up the weights first and are not faster.

    Args:
        ratio: Values over entries, above 0 and below 1; at least one value stays.
        seed: Seed of the hash, 0 to 2^32 - 1; the path of a leaf does not enter, so equal shapes have equal groups.

    Returns:
        Compression whose nodes are `Patterned`; all weights of a group receive its mean gradient.

    Raises:
        ValueError: If a setting is out of range; from `init`, if a leaf is not finite.

    Example:
        >>> from compressjax.core import compress
        >>> compress({"kernel": jnp.ones((8, 4))}, {".*": hashed(1 / 8)})["kernel"].values.shape
        (4,)

    Source: Chen et al., Compressing Neural Networks with the Hashing Trick, arXiv:1504.04788 (chen2015).
    """
    if not 0 < as_number("hashed", "ratio", ratio) < 1:
        raise ValueError(f"hashed: ratio={ratio} must be above 0 and below 1; 0.125 keeps an eighth of the weights")
    if not 0 <= as_int("hashed", "seed", seed) < 2**32:
        raise ValueError(f"hashed: seed={seed} must be from 0 to 2^32 - 1")

    def build(path: str, sizes: tuple[int, ...]) -> _Plan:
        count = math.prod(sizes)
        if not 0 < count < 2**32:
            raise UnfitError("hashed", {path: f"{count} entries cannot be hashed to 32 bits"})
        shape = (max(1, round(count * ratio)),)
        return _Plan(shape, sizes, "hashed", int(seed))

    return _tied(f"hashed(ratio={ratio}, seed={seed})", build)


def circulant(block: int) -> Compression:
    """Makes every block of a matrix circulant: each row is the row before, moved by one.

    .. math:: \\hat W_{pb+i,\\,qb+j} = v_{pq,\\,(j-i) \\bmod b}, \\qquad
        v_{pqk} = \\mathrm{mean}\\{W_{pb+i,\\,qb+j} : j - i \\equiv k \\bmod b\\}

    Takes `1 / b` of the bytes. Products run by the fast Fourier transform in `n log n` operations a block, which is
    faster than a dense product for blocks of some hundreds. Train with it from the start.

    Args:
        block: b, at least 1; divides both sides of every matrix. 1 changes nothing.

    Returns:
        Compression whose nodes are `Patterned`; all weights of a diagonal receive its mean gradient.

    Raises:
        ValueError: If `block` is below 1; `UnfitError` for leaves that are no matrices of such blocks.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.array([[1.0, 2.0], [4.0, 3.0]])
        >>> compress({"kernel": kernel}, {".*": circulant(2)})["kernel"].materialize().tolist()
        [[2.0, 3.0], [3.0, 2.0]]

    Source: Cheng et al., arXiv:1502.03436 (cheng2015).
    """
    if as_int("circulant", "block", block) < 1:
        raise ValueError(f"circulant: block={block} must be at least 1")

    def build(path: str, sizes: tuple[int, ...]) -> _Plan:
        if len(sizes) != 2 or sizes[0] % block or sizes[1] % block:
            raise UnfitError("circulant", {path: f"the shape {sizes} is no matrix of blocks of {block}"})
        shape = (sizes[0] // block, sizes[1] // block, int(block))
        return _Plan(shape, sizes, "circulant")

    return _tied(f"circulant(block={block})", build)


def toeplitz() -> Compression:
    """Makes a matrix constant along its diagonals.

    .. math:: \\hat W_{ij} = v_{j-i+n-1}, \\qquad v_k = \\mathrm{mean}\\{W_{ij} : j - i + n - 1 = k\\}

    Takes `n + m - 1` values instead of `n m`; products run by the fast Fourier transform.

    Returns:
        Compression whose nodes are `Patterned`; all weights of a diagonal receive its mean gradient.

    Raises:
        ValueError: From `init`, if a leaf is not finite; `UnfitError` for leaves that are no matrices.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.array([[1.0, 5.0], [7.0, 3.0]])
        >>> compress({"kernel": kernel}, {".*": toeplitz()})["kernel"].materialize().tolist()
        [[2.0, 5.0], [7.0, 2.0]]

    Source: Sindhwani et al., Structured Transforms for Small-Footprint Deep Learning, arXiv:1510.01722 (sindhwani2015).
    """

    def build(path: str, sizes: tuple[int, ...]) -> _Plan:
        if len(sizes) != 2 or 0 in sizes:
            raise UnfitError("toeplitz", {path: f"the shape {sizes} is no matrix"})
        shape = (sum(sizes) - 1,)
        return _Plan(shape, sizes, "toeplitz")

    return _tied("toeplitz", build)


def _tied(name: str, build: Build) -> Compression:
    def encode(flat: dict[str, jax.Array], state: object) -> dict[str, Patterned]:
        del state
        made = each(name, flat, lambda path: build(path, tuple(flat[path].shape)))
        return {path: _means(x, made[path]) for path, x in flat.items()}

    return on_values(
        name,
        encode=encode,
        view=lambda flat, state: {path: node.materialize() for path, node in encode(flat, state).items()},
    )


def _means(x: jax.Array, plan: _Plan) -> Patterned:
    """The node with the mean of its group in every value, the closest one to `x`."""
    found = with_auto_axes(functools.partial(_solve, plan), (jnp.zeros(plan.shape), x))(x)
    return Patterned(found, plan.sizes, plan.pattern, plan.seed)


@functools.partial(jax.jit, static_argnums=0, inline=True)
def _solve(plan: _Plan, x: jax.Array) -> jax.Array:
    def expand(values: jax.Array) -> jax.Array:
        return Patterned(values, plan.sizes, plan.pattern, plan.seed).materialize()

    # The places of a value are the columns of a linear map; signs square to 1, so the map of ones counts the places.
    ones, adjoint = jax.vjp(expand, jnp.ones(plan.shape, jnp.float32))
    (sums,), (counts,) = adjoint(wide(x).astype(jnp.float32)), adjoint(ones)
    return (sums / jnp.maximum(counts, 1.0)).astype(x.dtype)
