"""Patterns: which weights are removed together."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

Shape = tuple[int, ...]


class Pattern(NamedTuple):
    """How a leaf is divided into units that are kept or removed whole, and into groups within which units compete.

    A pattern reshapes a leaf and gives each axis a role. It never transposes: the compiler would store transposed masks
    in another layout than the leaf, and reading both together would be slow at every step.

    Attributes:
        name: Name in manifests.
        read: `read(path, shape) -> (sizes, roles)`: the leaf's shape, with axes split into factors where needed, and a
            letter per axis: `g` for groups, `u` for the units of a group, `w` for the weights of a unit. If there are
            groups, exactly one axis is `u`.
        density: Fraction that the pattern fixes, or None if the sparsity decides.
        group: M of N:M, the successive weights that share a fixed number of zeros; 0 for other patterns.
        single: Whether all weights are ranked together one by one, without regrouping or rounding.
        whole: Whether a unit is a whole leaf; such units compete only under the distribution `"global"`.
    """

    name: str
    read: Callable[[str, Shape], tuple[Shape, str]]
    density: float | None = None
    group: int = 0
    single: bool = False
    whole: bool = False


def unstructured() -> Pattern:
    """Returns the pattern in which each weight is a unit.

    Returns:
        The pattern.

    Example:
        >>> unstructured().read("w", (2, 3))
        ((2, 3), 'uu')
    """
    return Pattern("unstructured", lambda path, shape: (shape, "u" * len(shape)), single=True)


def balanced() -> Pattern:
    """Returns the pattern in which every output (last axis) keeps the same number of weights.

    Returns:
        The pattern.

    Example:
        >>> balanced().read("w", (3, 3, 2, 8))
        ((18, 8), 'ug')

    Source: the comparison groups of Sun et al., arXiv:2306.11695 (sun2024).
    """

    def read(path: str, shape: Shape) -> tuple[Shape, str]:
        where = _axis("balanced", path, shape, -1)
        return (math.prod(shape[:where]), shape[where]), "ug"

    return Pattern("balanced", read)


def nm(n: int, m: int, *, axis: int = -2) -> Pattern:
    """Returns the pattern that keeps `n` of every `m` successive weights along an axis; sparse tensor cores run 2:4.

    The density is `n / m` in every leaf. A shape does not tell which axes are inputs: the name `"2:4"` uses the second
    last axis, as in kernels of dense layers and convolutions. Query, key and value kernels `[features, heads, size]`
    need `only(".*(query|key|value)/kernel", ste(pattern=nm(2, 4, axis=0)))`. `wanda` and `sparsegpt` read the inputs
    from their statistics.

    Args:
        n: Weights kept per group, 1 to `m`.
        m: Weights per group.
        axis: The input axis; -2 in kernels `[..., in, out]`, 0 in `[features, heads, size]`.

    Returns:
        The pattern; it refuses leaves whose axis `m` does not divide.

    Raises:
        ValueError: If `n` is not between 1 and `m`.

    Example:
        >>> nm(2, 4).read("w", (8, 3))
        ((2, 4, 3), 'gug')

    Source: Mishra et al., arXiv:2104.08378 (mishra2021).
    """
    if not 1 <= n <= m:
        raise ValueError(f"pattern {n}:{m} keeps {n} of every {m} weights; give 1 <= N <= M, as in 2:4")

    def read(path: str, shape: Shape) -> tuple[Shape, str]:
        where = _axis(f"{n}:{m}", path, shape, axis)
        if shape[where] % m:
            raise ValueError(
                f"pattern {n}:{m}: axis {where} of {path} {tuple(shape)} is not divisible by {m}; "
                "choose another M or axis=, or leave the leaf out with only()"
            )
        before, after = math.prod(shape[:where]), math.prod(shape[where + 1 :])
        return (before * (shape[where] // m), m, after), "gug"

    return Pattern(f"{n}:{m}", read, n / m, group=m)


def block(rows: int, columns: int) -> Pattern:
    """Returns the pattern of whole blocks in the last two axes.

    Args:
        rows: Inputs per block.
        columns: Outputs per block.

    Returns:
        The pattern; it refuses leaves whose axes the block does not divide.

    Raises:
        ValueError: If a side is below 1.

    Example:
        >>> block(2, 3).read("w", (4, 9))
        ((1, 2, 2, 3, 3), 'uuwuw')
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"block {rows}x{columns} has no weights; give sides of at least 1")

    def read(path: str, shape: Shape) -> tuple[Shape, str]:
        _axis(f"block {rows}x{columns}", path, shape, -2)
        if shape[-2] % rows or shape[-1] % columns:
            raise ValueError(
                f"block {rows}x{columns} does not divide {path} {tuple(shape)}; choose sides that divide its last two "
                "axes, or leave the leaf out with only()"
            )
        return (math.prod(shape[:-2]), shape[-2] // rows, rows, shape[-1] // columns, columns), "uuwuw"

    return Pattern(f"block {rows}x{columns}", read)


def slices(axis: int, name: str = "") -> Pattern:
    """Returns the pattern of whole slices along one axis: channels, filters, heads, neurons.

    Args:
        axis: The axis of the units: -1 for the outputs of a kernel, -2 for its inputs, 1 for the heads of a query
            kernel `[features, heads, size]`.
        name: Name in manifests and messages.

    Returns:
        The pattern.

    Example:
        >>> slices(-1).read("w", (3, 3, 2, 8))
        ((3, 3, 2, 8), 'wwwu')

    Source: filters: Li et al., arXiv:1608.08710 (li2017).
    """
    called = name or f"slices({axis})"

    def read(path: str, shape: Shape) -> tuple[Shape, str]:
        where = _axis(called, path, shape, axis)
        return shape, "".join("u" if i == where else "w" for i in range(len(shape)))

    return Pattern(called, read)


def layer() -> Pattern:
    """Returns the pattern of whole leaves, which compete under the distribution `"global"`.

    Returns:
        The pattern.

    Example:
        >>> layer().read("w", (2, 3))
        ((2, 3), 'ww')
    """
    return Pattern("layer", lambda path, shape: (shape, "w" * len(shape)), whole=True)


def as_pattern(pattern: str | Pattern) -> Pattern:
    """Returns a pattern by name.

    Args:
        pattern: A `Pattern`, `"unstructured"`, `"balanced"`, `"layer"`, `"N:M"` as in `"2:4"`, `"block RxC"` as in
            `"block 4x4"`, `"filter"` and `"neuron"` (outputs, the last axis), `"channel"` (inputs, the second last
            axis), or `"head"` (the second last axis of `[features, heads, size]`; use `slices(0)` for
            `[heads, size, features]`).

    Returns:
        The pattern.

    Raises:
        ValueError: If the name is unknown or its numbers are out of range.

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
        raise ValueError(f"unknown pattern {pattern!r}; use one of {sorted([*names, *axes])}, 'N:M' or 'block RxC'")
    return names[pattern]()


def _axis(name: str, path: str, shape: Shape, axis: int) -> int:
    if not -len(shape) <= axis < len(shape) or len(shape) < 2:
        raise ValueError(f"pattern {name}: {path} {tuple(shape)} has no axis {axis}; leave it out with only()")
    return axis % len(shape)
