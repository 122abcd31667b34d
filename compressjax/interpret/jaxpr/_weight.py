"""What the interpreter carries in the place of a dense weight, and the record of what became of it."""

import dataclasses
from typing import Any, NamedTuple

import jax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Weight:
    """A weight on its way through a jaxpr: a node (or a marked array) and the leaf it came from.

    Attributes:
        node: Node or array with the shape that the jaxpr's variable has.
        path: Value path of the leaf in the caller's tree.
        axes: For `observe`: for every axis, the axes of the leaf that it is made of.

    Example:
        >>> Weight(jax.numpy.zeros((2, 3)), "kernel").shape
        (2, 3)
    """

    node: Any
    path: str = dataclasses.field(metadata={"static": True})
    axes: tuple[tuple[int, ...], ...] = dataclasses.field(default=(), metadata={"static": True})

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return tuple(self.node.shape)


class Row(NamedTuple):
    """How one weight was used by one operation.

    Attributes:
        path: Value path of the leaf.
        node: Node type, nesting included: `"Masked(Codebook)"`.
        status: `"native"` (ran on the compressed form), `"dense"` (this node has no faster form: it was materialized
            by design) or `"fallback"` (the operation has no rule: it was materialized).
        primitive: The JAX operation.
        reason: Why, when not native.
    """

    path: str
    node: str
    status: str
    primitive: str
    reason: str


def varying_axes(x: Any) -> frozenset[str]:
    """Mesh axes over which an array differs, inside `shard_map`."""
    aval = jax.typeof(x)
    manual = getattr(aval, "mat", None)
    return frozenset(manual.varying if manual is not None else getattr(aval, "vma", ()))
