"""What NumPy knows of each node type; every type registers its own twin, so nothing here names one."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from compressjax.coding._errors import ArtifactError

Decoder = Callable[[Mapping[str, Any], Mapping[str, Any]], np.ndarray]
Shape = Callable[[Mapping[str, Any], Mapping[str, Any]], "tuple[int, ...]"]
Axes = Callable[[Mapping[str, Any], int], "tuple[int, ...]"]


class Twin(NamedTuple):
    """A node type without JAX; `register` describes the fields."""

    dense: Decoder
    shape: Shape | None
    entrywise: tuple[str, ...]
    mask: str | None
    axes: Axes | None

    def gating(self, meta: Mapping[str, Any], ndim: int | None) -> Gating | None:
        """How a mask over a node of `ndim` axes (None without one) reaches its fields; None where it reaches none."""
        if not self.entrywise or (ndim is None and self.mask is None):
            return None
        axes = None if self.axes is None or ndim is None else checked_axes(self.axes(meta, ndim), ndim)
        return Gating(self.entrywise, axes, self.mask)


class Gating(NamedTuple):
    """Fields that have one item an entry, the order of the axes that they are stored in, and the node's own mask."""

    entrywise: tuple[str, ...]
    axes: tuple[int, ...] | None
    mask: str | None

    def over(self, name: str, fields: Mapping[str, Any], gate: np.ndarray | None) -> np.ndarray | None:
        """The mask over one field, given the mask over the node and the fields before it."""
        if name not in self.entrywise:
            return None
        if gate is not None and self.axes is not None:
            gate = gate.transpose(self.axes)
        if self.mask is None or name == self.mask:
            return gate
        own = fields.get(self.mask)
        if not (isinstance(own, np.ndarray) and own.dtype == bool):
            raise ArtifactError(f"field {self.mask!r} must be a Boolean array, because {name!r} is stored under it")
        return own & gate if gate is not None and gate.shape == own.shape else own


def register(
    name: str,
    *,
    dense: Decoder,
    shape: Shape | None = None,
    entrywise: tuple[str, ...] = (),
    mask: str | None = None,
    axes: Axes | None = None,
) -> None:
    """Teaches NumPy a node type, so that `materialize` decodes it where JAX is absent.

    Args:
        name: Type name as files store it, `"module:QualName"`; registering a name again replaces its decoder.
        dense: `(fields, meta) -> array`. Fields come as dense NumPy arrays (bfloat16 as float32), nodes inside decoded.
        shape: `(shapes, meta) -> tuple`, the dense shape from the dense shapes of the fields. Files that
            `compressjax.artifact` writes carry the shape, so only specs made by hand need it.
        entrywise: Fields of which an entry of the dense tensor depends on one item only, its own. Under a mask, files
            store their items at the kept entries only. The file says so itself: a reader needs no decoder to read it.
        mask: One of `entrywise`: a Boolean field under which the other ones are stored.
        axes: `(meta, ndim) -> permutation` from dense axes to those of the `entrywise` fields, where they differ.

    Raises:
        ValueError: If the name is not `"module:QualName"`; bare names belong to compressjax.

    Example:
        >>> register("mylab.nodes:Ternary", dense=lambda fields, meta: fields["scale"] * fields["signs"])
        >>> from compressjax.coding import materialize
        >>> fields = {"scale": np.float32(0.5), "signs": np.array([1, 0, -1], np.int8)}
        >>> materialize({"node": "mylab.nodes:Ternary", "meta": {}, "fields": fields}).tolist()
        [0.5, 0.0, -0.5]
    """
    if ":" not in name and dense.__module__.partition(".")[0] != __name__.partition(".")[0]:
        raise ValueError(
            f"type name {name!r} is a bare name, which belongs to compressjax; use 'module:QualName', "
            "the type_name of your node class"
        )
    _TWINS[name] = Twin(dense, shape, tuple(entrywise), mask, axes)


def find(name: str) -> Twin | None:
    """The twin of a type name, None when nobody registered one."""
    _load_own()
    return _TWINS.get(name)


def checked_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """A permutation of `ndim` axes, or an error."""
    if not all(type(axis) is int for axis in axes) or sorted(axes) != list(range(ndim)):
        raise ArtifactError(f"{str(axes)[:80]} does not permute the {ndim} axes of the mask; the file is damaged")
    return tuple(axes)


def written(name: str) -> bool:
    """Whether files carry the gating and dense shape of a type; those of compressjax are part of the format."""
    return ":" in name


@functools.cache
def _load_own() -> None:
    # By name, because the twins import `register` from here.
    importlib.import_module("compressjax.decoders")


_TWINS: dict[str, Twin] = {}
