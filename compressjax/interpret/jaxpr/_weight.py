"""The value of a weight in the interpreter, and the report of how operations use it."""

import dataclasses
from typing import Any, NamedTuple

import jax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Weight:
    """A weight during evaluation: a node (or a marked array) and the leaf that it comes from.

    For `observe`, all parameters are weights; those that it does not follow have no path.

    Attributes:
        node: Node or array with the shape of the variable in the jaxpr.
        path: Value path of the leaf in the caller's tree.
        axes: For `observe`: for every axis, the axes of the leaf from which it is built.
        also: For `lift`: value paths of other leaves, if several were concatenated.
        parts: For `observe`: the weights that are concatenated along axis `joined`.
    """

    node: Any
    path: str = dataclasses.field(metadata={"static": True})
    axes: tuple[tuple[int, ...], ...] = dataclasses.field(default=(), metadata={"static": True})
    parts: tuple["Weight", ...] = ()
    joined: int = dataclasses.field(default=-1, metadata={"static": True})
    also: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True})

    @property
    def paths(self) -> tuple[str, ...]:
        """Value paths of all leaves that the node holds."""
        return (self.path, *self.also)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return tuple(self.node.shape)


class Row(NamedTuple):
    """How one operation uses one weight.

    Attributes:
        path: Value path of the leaf.
        node: Node type, nesting included: `"Masked(Codebook)"`.
        status: `"native"` (runs on the compressed form), `"dense"` (the node has no faster form and is materialized by
            design), `"fallback"` (the operation has no rule, so the node is materialized) or `"unused"` (no operation
            reads the weight).
        primitive: The JAX operation; empty for unused weights.
        reason: Why the operation is not native; empty if it is.
    """

    path: str
    node: str
    status: str
    primitive: str
    reason: str


def varying_axes(x: Any) -> frozenset[str]:
    """Mesh axes over which an array varies, inside `shard_map`."""
    aval = jax.typeof(x)
    manual = getattr(aval, "mat", None)
    return frozenset(manual.varying if manual is not None else getattr(aval, "vma", ()))
