"""Patterns: what is removed together."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Shape = tuple[int, ...]


class Pattern(NamedTuple):
    """How a leaf falls into units that are kept or removed whole, and in which groups units compete.

    Attributes:
        name: As it is written in manifests.
        split: `split(path, x) -> [groups, units, weights]`: the leaf's entries, rearranged.
        join: `join(path, x, shape) -> array of that shape`: the inverse, for `[groups, units, weights]`.
        density: Fraction that the pattern itself fixes, or None where the sparsity decides.
    """

    name: str
    split: Callable[[str, jax.Array], jax.Array]
    join: Callable[[str, jax.Array, Shape], jax.Array]
    density: float | None = None


def unstructured() -> Pattern:
    """Every weight for itself.

    Returns:
        The pattern.

    Example:
        >>> unstructured().split("w", jnp.zeros((2, 3))).shape
        (1, 6, 1)
    """
    return Pattern("unstructured", lambda path, x: x.reshape(1, -1, 1), lambda path, x, shape: x.reshape(shape))


def balanced() -> Pattern:
    """Every output (last axis) keeps equally many weights; they compete only with each other.

    Returns:
        The pattern.

    Example:
        >>> balanced().split("w", jnp.zeros((2, 3))).shape
        (3, 2, 1)

    Source: the comparison groups of Sun et al., arXiv:2306.11695 (sun2024).
    """

    def split(path: str, x: jax.Array) -> jax.Array:
        _axis("balanced", path, x.shape, -1)
        return x.reshape(-1, x.shape[-1]).T[..., None]

    return Pattern("balanced", split, lambda path, x, shape: x[..., 0].T.reshape(shape))


def nm(n: int, m: int, *, axis: int = -2) -> Pattern:
    """At most `n` of every `m` successive weights along an axis: what sparse tensor cores run (2:4).

    The pattern fixes the density at `n / m`, in every leaf alike. A shape does not tell which of its axes are inputs:
    the name `"2:4"` takes the last but one, as in kernels of dense layers and convolutions. In query, key and value
    kernels `[features, heads, size]` that is the heads; for them, use `only(".*(query|key|value)/kernel",
    ste(pattern=nm(2, 4, axis=0)))`. `wanda` and `sparsegpt` know the inputs from their statistics.

    Args:
        n: Weights kept, 1 to `m`.
        m: Weights a group.
        axis: The input axis; -2 in kernels `[..., in, out]`, 0 in `[features, heads, size]`.

    Returns:
        The pattern; it refuses leaves whose axis `m` does not divide.

    Raises:
        ValueError: If `n` is not between 1 and `m`.

    Example:
        >>> nm(2, 4).split("w", jnp.zeros((8, 3))).shape
        (6, 4, 1)

    Source: Mishra et al., arXiv:2104.08378 (mishra2021).
    """
    if not 1 <= n <= m:
        raise ValueError(f"pattern {n}:{m} keeps {n} of every {m} weights; give 1 <= N <= M, as in 2:4")

    def split(path: str, x: jax.Array) -> jax.Array:
        where = _axis(f"{n}:{m}", path, x.shape, axis)
        if x.shape[where] % m:
            raise ValueError(
                f"pattern {n}:{m}: axis {where} of {path} {tuple(x.shape)} is not divisible by {m}; "
                "choose another M or axis=, or leave the leaf out with only()"
            )
        return jnp.moveaxis(x, where, -1).reshape(-1, m, 1)

    def join(path: str, x: jax.Array, shape: Shape) -> jax.Array:
        where = _axis(f"{n}:{m}", path, shape, axis)
        moved = (*shape[:where], *shape[where + 1 :], shape[where])
        return jnp.moveaxis(x.reshape(moved), -1, where)

    return Pattern(f"{n}:{m}", split, join, n / m)


def block(rows: int, columns: int) -> Pattern:
    """Whole blocks of the last two axes.

    Args:
        rows: Inputs a block.
        columns: Outputs a block.

    Returns:
        The pattern; it refuses leaves whose axes the block does not divide.

    Raises:
        ValueError: If a side is below 1.

    Example:
        >>> block(2, 3).split("w", jnp.zeros((4, 9))).shape
        (1, 6, 6)
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"block {rows}x{columns} has no weights; give sides of at least 1")

    def parts(path: str, shape: Shape) -> Shape:
        _axis(f"block {rows}x{columns}", path, shape, -2)
        if shape[-2] % rows or shape[-1] % columns:
            raise ValueError(
                f"block {rows}x{columns} does not divide {path} {tuple(shape)}; choose sides that divide its last two "
                "axes, or leave the leaf out with only()"
            )
        return math.prod(shape[:-2]), shape[-2] // rows, rows, shape[-1] // columns, columns

    def split(path: str, x: jax.Array) -> jax.Array:
        return x.reshape(parts(path, x.shape)).transpose(0, 1, 3, 2, 4).reshape(1, -1, rows * columns)

    def join(path: str, x: jax.Array, shape: Shape) -> jax.Array:
        lead, down, _, across, _ = parts(path, shape)
        return x.reshape(lead, down, across, rows, columns).transpose(0, 1, 3, 2, 4).reshape(shape)

    return Pattern(f"block {rows}x{columns}", split, join)


def slices(axis: int, name: str = "") -> Pattern:
    """Whole slices along one axis: channels, filters, heads, neurons.

    Args:
        axis: The axis along which the units lie: -1 for the outputs of a kernel, -2 for its inputs, 1 for the heads of
            a query kernel `[features, heads, size]`.
        name: For manifests and messages.

    Returns:
        The pattern.

    Example:
        >>> slices(-1).split("w", jnp.zeros((3, 3, 2, 8))).shape
        (1, 8, 18)

    Source: filters: Li et al., arXiv:1608.08710 (li2017).
    """
    called = name or f"slices({axis})"

    def split(path: str, x: jax.Array) -> jax.Array:
        where = _axis(called, path, x.shape, axis)
        return jnp.moveaxis(x, where, 0).reshape(1, x.shape[where], -1)

    def join(path: str, x: jax.Array, shape: Shape) -> jax.Array:
        where = _axis(called, path, shape, axis)
        moved = (shape[where], *shape[:where], *shape[where + 1 :])
        return jnp.moveaxis(x.reshape(moved), 0, where)

    return Pattern(called, split, join)


def layer() -> Pattern:
    """Whole leaves; they compete under the distribution `"global"`.

    Returns:
        The pattern.

    Example:
        >>> layer().split("w", jnp.zeros((2, 3))).shape
        (1, 1, 6)
    """
    return Pattern("layer", lambda path, x: x.reshape(1, 1, -1), lambda path, x, shape: x.reshape(shape))


def as_pattern(pattern: str | Pattern) -> Pattern:
    """A pattern by name.

    Args:
        pattern: `"unstructured"`, `"balanced"`, `"N:M"` as in `"2:4"`, `"block RxC"` as in `"block 4x4"`, `"filter"`
            and `"neuron"` (outputs, the last axis), `"channel"` (inputs, the last but one), `"head"` (the last axis but
            one of `[features, heads, size]`; use `slices(0)` for `[heads, size, features]`), `"layer"`; or a
            `Pattern`.

    Returns:
        The pattern.

    Raises:
        ValueError: If the name is unknown, or its numbers make no pattern.

    Example:
        >>> as_pattern("2:4").density
        0.5
    """
    if isinstance(pattern, Pattern):
        return pattern
    if found := re.fullmatch(r"(\d+):(\d+)", pattern):
        return nm(int(found[1]), int(found[2]))
    if found := re.fullmatch(r"block (\d+)x(\d+)", pattern):
        return block(int(found[1]), int(found[2]))
    names = {"unstructured": unstructured, "balanced": balanced, "layer": layer}
    axes = {"filter": -1, "neuron": -1, "channel": -2, "head": -2}
    if pattern in axes:
        return slices(axes[pattern], pattern)
    if pattern not in names:
        raise ValueError(
            f"unknown pattern {pattern!r}; use one of {sorted([*names, *axes])}, 'N:M', 'block RxC', or a Pattern"
        )
    return names[pattern]()


def _axis(name: str, path: str, shape: Shape, axis: int) -> int:
    if not -len(shape) <= axis < len(shape) or len(shape) < 2:
        raise ValueError(f"pattern {name}: {path} {tuple(shape)} has no axis {axis} of units; leave it out with only()")
    return axis % len(shape)
