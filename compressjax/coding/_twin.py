"""Registry of node types for NumPy: every type registers its own decoder."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import shown

Decoder = Callable[[Mapping[str, Any], Mapping[str, Any]], np.ndarray]
Shape = Callable[[Mapping[str, Any], Mapping[str, Any]], "tuple[int, ...]"]
Check = Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]], None]
Axes = Callable[[Mapping[str, Any], int], "tuple[int, ...]"]


class Twin(NamedTuple):
    """NumPy counterpart of a node type; `register` describes the fields."""

    dense: Decoder
    shape: Shape | None
    entrywise: tuple[str, ...]
    mask: str | None
    axes: Axes | None
    check: Check | None = None

    def gating(self, meta: Mapping[str, Any], ndim: int | None) -> Gating | None:
        """How a mask over a node of `ndim` axes (None without a mask) applies to its fields; None if it does not."""
        if not self.entrywise or (ndim is None and self.mask is None):
            return None
        axes = None if self.axes is None or ndim is None else checked_axes(self.axes(meta, ndim), ndim)
        return Gating(self.entrywise, axes, self.mask)


class Gating(NamedTuple):
    """Fields with an item per entry, the stored order of their axes, and the node's own mask."""

    entrywise: tuple[str, ...]
    axes: tuple[int, ...] | None
    mask: str | None

    def over(self, name: str, fields: Mapping[str, Any], gate: np.ndarray | None) -> np.ndarray | None:
        """Mask over one field, given the mask over the node and the fields before it."""
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
    check: Check | None = None,
) -> None:
    """Registers a NumPy decoder of a node type, so that `materialize` decodes it without JAX.

    Args:
        name: Type name in files, `"module:QualName"`; registering a name again replaces its decoder.
        dense: `(fields, meta) -> array`. Fields are dense NumPy arrays (bfloat16 as float32); nested nodes are decoded.
        shape: `(shapes, meta) -> tuple`, the dense shape from the dense shapes of the fields. Files that
            `compressjax.artifact` writes store the shape, so only handwritten specs need it.
        entrywise: Fields with exactly one item per entry of the dense tensor. Under a mask, files store only the items
            of kept entries, and record this, so that reading needs no decoder.
        mask: One of `entrywise`: a Boolean field that masks the other fields of `entrywise`.
        axes: `(meta, ndim) -> permutation` from dense axes to the axes of the `entrywise` fields, if they differ.
        check: `(fields, shapes, meta)` raises ValueError where the fields that a file holds do not fit together, so
            that every reader refuses them. Fields are specs as `read` returns them, shapes their dense shapes.

    Raises:
        ValueError: If the name is not `"module:QualName"`; bare names are reserved for compressjax.

    Example:
        >>> register("mylab.nodes:Ternary", dense=lambda fields, meta: fields["scale"] * fields["signs"])
        >>> from compressjax.coding import materialize
        >>> fields = {"scale": np.float32(0.5), "signs": np.array([1, 0, -1], np.int8)}
        >>> materialize({"node": "mylab.nodes:Ternary", "meta": {}, "fields": fields}).tolist()
        [0.5, 0.0, -0.5]
    """
    if ":" not in name and dense.__module__.partition(".")[0] != __name__.partition(".")[0]:
        raise ValueError(
            f"type name {name!r} is a bare name, which is reserved for compressjax; use 'module:QualName', "
            "the type_name of your node class"
        )
    _TWINS[name] = Twin(dense, shape, tuple(entrywise), mask, axes, check)


def find(name: str) -> Twin | None:
    """The registered twin of a type name, or None."""
    _load_own()
    return _TWINS.get(name)


def checked_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Returns a valid permutation of `ndim` axes."""
    if not all(type(axis) is int for axis in axes) or sorted(axes) != list(range(ndim)):
        raise ArtifactError(f"{shown(axes)} does not permute the {ndim} axes of the mask; the file is damaged")
    return tuple(axes)


def named(fields: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Raises unless these names and no others are there."""
    missing, unknown = set(required) - set(fields), set(fields) - {*required, *optional}
    if missing or unknown:
        raise ArtifactError(
            f"{shown(sorted(missing))} missing and {shown(sorted(unknown))} unknown; install the compressjax that "
            "wrote the file"
        )


def written(name: str) -> bool:
    """Whether files store the gating and dense shape of a type; for compressjax's types, the format defines them."""
    return ":" in name


@functools.cache
def _load_own() -> None:
    # Imported by name, since the twins import `register` from this module.
    importlib.import_module("compressjax.decoders")


_TWINS: dict[str, Twin] = {}
