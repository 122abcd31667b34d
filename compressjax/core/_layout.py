"""Layouts: which axes of a leaf are inputs and which are outputs of its products."""

import contextvars
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Layout(NamedTuple):
    """The role of every axis of a kernel.

    Attributes:
        batch: Axes with separate products: layers of a stack, experts.
        inputs: Axes that products sum over, in the order of their statistics. Groups of a grid and N:M patterns run
            along the last one; for a convolution this is the channel axis.
        outputs: All other axes.

    Example:
        >>> Layout((), (1, 2, 3), (0,)).matrices(jnp.ones((8, 4, 3, 3))).shape
        (1, 36, 8)
    """

    batch: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def along(self) -> int | None:
        """The axis that groups run along; None without inputs."""
        return self.inputs[-1] if self.inputs else None

    @property
    def order(self) -> tuple[int, ...]:
        """The axes as `[*batch, *inputs, *outputs]`."""
        return (*self.batch, *self.inputs, *self.outputs)

    @property
    def inverse(self) -> tuple[int, ...]:
        """The permutation from `order` back to the leaf."""
        return tuple(self.order.index(axis) for axis in range(len(self.order)))

    def matrices(self, x: jax.Array) -> jax.Array:
        """`[layers, in, out]` from an array of the leaf's shape."""
        batch, inputs, outputs = (math.prod(x.shape[a] for a in part) for part in self)
        return jnp.transpose(x, self.order).reshape(batch, inputs, outputs)

    def leaf(self, x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """An array of the leaf's shape from `[layers, in, out]`."""
        return jnp.transpose(x.reshape([shape[a] for a in self.order]), self.inverse)


Layouts = Mapping[str, Layout] | str
_CONVENTIONS = ("[in, out]", "[out, in]")


class _Use(NamedTuple):
    """What the methods that run now read: the layout, leaves that they leave out, and results if those are listed."""

    layout: Layouts = _CONVENTIONS[0]
    without: frozenset[str] = frozenset()
    results: dict[Any, Any] | None = None


_CURRENT: contextvars.ContextVar[_Use] = contextvars.ContextVar("use", default=_Use())  # noqa: B039 - immutable


def check_layouts(layout: Layouts) -> Layouts:
    """Refuses what is neither a convention nor a mapping from paths to layouts."""
    if layout in _CONVENTIONS if isinstance(layout, str) else isinstance(layout, Mapping):
        return layout
    raise ValueError(f"layout={layout!r} is unknown; use one of {_CONVENTIONS}, or the result of cj.layouts(fn)")


@contextmanager
def using(
    layout: Layouts | None, without: frozenset[str] = frozenset(), *, results: dict[Any, Any] | None = None
) -> Iterator[None]:
    """Makes `layout` the one that methods read inside; None keeps the outer one. `results`: see `results`."""
    outer = _CURRENT.get()
    token = _CURRENT.set(
        _Use(
            outer.layout if layout is None else layout,
            outer.without | without,
            outer.results if results is None else results,
        )
    )
    try:
        yield
    finally:
        _CURRENT.reset(token)


def layout_of(path: str, shape: tuple[int, ...]) -> Layout:
    """The layout of a leaf: the given one, or the convention, by which one end of the shape is the output axis.

    The convention is `[in, out]`, also for leaves that a given mapping lacks.
    """
    current, axes = _CURRENT.get().layout, tuple(range(len(shape)))
    found = None if isinstance(current, str) else current.get(path)
    if found is not None and sorted(found.order) == list(axes):
        return found
    if found is not None:
        raise ValueError(f"{path!r} of shape {tuple(shape)} has another number of axes than its layout {found}; trace "
                         "the function with these parameters")  # fmt: skip
    if current == "[out, in]":
        return Layout((), (*axes[2:], *axes[1:2]), axes[:1])
    return Layout((), axes[:-1], axes[-1:])


def in_product(path: str) -> bool | None:
    """Whether the traced function multiplies a value with data; None without a trace, or inside the node of a leaf."""
    traced = _CURRENT.get().layout
    if isinstance(traced, str) or any(path.startswith(f"{leaf}/") for leaf in traced):
        return None
    return path in traced


def is_left_out(path: str) -> bool:
    """Whether methods leave out a value now."""
    return path in _CURRENT.get().without


def results() -> dict[Any, Any] | None:
    """Results of single leaves, where the caller lists leaves that do not fit and tries again without them.

    `compress` does so, also with leaves of which only values tell. None elsewhere, at the end of training say: such
    leaves stay dense there, because they could not be known before.
    """
    return _CURRENT.get().results
