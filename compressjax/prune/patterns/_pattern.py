"""Patterns: which weights are removed together."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from compressjax.core._layout import Layout, layout_of
from compressjax.core._unfit import UnfitError

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
    """Returns the pattern in which every output keeps the same number of weights.

    Returns:
        The pattern; outputs are the last axis, unless a layout says otherwise.

    Example:
        >>> balanced().read("w", (3, 3, 2, 8))
        ((18, 8), 'ug')

    Source: the comparison groups of Sun et al., arXiv:2306.11695 (sun2024).
    """

    def read(path: str, shape: Shape) -> tuple[Shape, str]:
        inputs = sorted(_layout("balanced", path, shape).inputs)
        first, last = inputs[0], inputs[-1]
        if inputs != list(range(first, last + 1)):
            raise UnfitError("balanced", {path: f"input axes {inputs} of {shape} are not next to each other"})
        behind = shape[last + 1 :]
        sizes = (*shape[:first], math.prod(shape[first : last + 1]), *behind)
        return sizes, "g" * first + "u" + "g" * len(behind)

    return Pattern("balanced", read)


def nm(n: int, m: int, *, axis: int | None = None) -> Pattern:
    """Returns the pattern that keeps `n` of every `m` successive weights along an axis; sparse tensor cores run 2:4.

    The density is `n / m` in every leaf. A shape does not tell which axes are inputs: without a layout, the second last
    axis is taken, as in kernels of dense layers and convolutions. Give `layout=cj.layouts(fn)` to `partition`,
    `compress` or `fit`, or `axis=`, for others such as query kernels `[features, heads, size]`. `wanda` and `sparsegpt`
    read the inputs from their statistics.

    Args:
        n: Weights kept per group, 1 to `m`.
        m: Weights per group.
        axis: The input axis; None for the channel axis of the layout.

    Returns:
        The pattern; leaves whose axis `m` does not divide do not fit.

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
        name = f"{n}:{m}"
        where = _layout(name, path, shape).along if axis is None else _axis(name, path, shape, axis)
        if where is None or shape[where] % m:
            reason = f"axis {where} of {shape} is not divisible by {m}; choose another M or axis="
            raise UnfitError(f"pattern {name}", {path: reason})
        before, after = math.prod(shape[:where]), math.prod(shape[where + 1 :])
        return (before * (shape[where] // m), m, after), "gug"

    return Pattern(f"{n}:{m}", read, n / m, group=m)


def block(rows: int, columns: int) -> Pattern:
    """Returns the pattern of whole blocks of inputs and outputs.

    Args:
        rows: Inputs per block.
        columns: Outputs per block.

    Returns:
        The pattern, along the last two axes unless a layout says otherwise; leaves whose axes the block does not divide
            do not fit.

    Raises:
        ValueError: If a side is below 1.

    Example:
        >>> block(2, 3).read("w", (4, 9))
        ((2, 2, 3, 3), 'uwuw')
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"block {rows}x{columns} has no weights; give sides of at least 1")
    name = f"block {rows}x{columns}"

    def read(path: str, shape: Shape) -> tuple[Shape, str]:
        axes = _layout(name, path, shape)
        sides = {axes.along: rows, axes.outputs[-1] if axes.outputs else None: columns}
        if None in sides or any(shape[a] % side for a, side in sides.items() if a is not None):
            raise UnfitError(name, {path: f"the sides do not divide its inputs and outputs {shape}; choose others"})
        sizes = [(n // sides[a], sides[a]) if a in sides else (n,) for a, n in enumerate(shape)]
        return tuple(x for pair in sizes for x in pair), "".join("uw" if len(pair) == 2 else "u" for pair in sizes)

    return Pattern(name, read)


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


def outputs(name: str) -> Pattern:
    """The pattern of whole outputs: the last axis, or the output axes of the layout, separately in every layer."""

    def read(path: str, shape: Shape) -> tuple[Shape, str]:
        axes = _layout(name, path, shape)
        if not axes.outputs:
            raise UnfitError(f"pattern {name}", {path: f"{shape} has no output axis"})
        batch = "g" if len(axes.outputs) == 1 else "u"
        roles = dict.fromkeys(axes.batch, batch) | dict.fromkeys(axes.inputs, "w") | dict.fromkeys(axes.outputs, "u")
        return shape, "".join(roles[a] for a in range(len(shape)))

    return Pattern(name, read)


def channels(name: str) -> Pattern:
    """The pattern of whole input channels: the second last axis, or the channel axis of the layout."""

    def read(path: str, shape: Shape) -> tuple[Shape, str]:
        axes = _layout(name, path, shape)
        return shape, "".join("u" if a == axes.along else "g" if a in axes.batch else "w" for a in range(len(shape)))

    return Pattern(name, read)


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
            `"block 4x4"`, `"filter"` and `"neuron"` (outputs, the last axis without a layout), `"channel"` (inputs,
            the second last axis without a layout), or `"head"` (the second last axis of `[features, heads, size]`; use
            `slices(0)` for `[heads, size, features]`).

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
    names: dict[str, Callable[[], Pattern]] = {
        "unstructured": unstructured, "balanced": balanced, "layer": layer, "filter": lambda: outputs("filter"),
        "neuron": lambda: outputs("neuron"), "channel": lambda: channels("channel"), "head": lambda: slices(-2, "head"),
    }  # fmt: skip
    if pattern not in names:
        raise ValueError(f"unknown pattern {pattern!r}; use one of {sorted(names)}, 'N:M' or 'block RxC'")
    return names[pattern]()


def _axis(name: str, path: str, shape: Shape, axis: int) -> int:
    if not -len(shape) <= axis < len(shape) or len(shape) < 2:
        raise UnfitError(f"pattern {name}", {path: f"{shape} has no axis {axis} beside another one"})
    return axis % len(shape)


def _layout(name: str, path: str, shape: Shape) -> Layout:
    found = layout_of(path, shape)
    if not found.inputs:
        raise UnfitError(f"pattern {name}", {path: f"{shape} has no input axis"})
    return found
