"""Nodes: frozen pytree dataclasses that replace one dense array."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar, cast, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._exported import register
from compressjax.core._line import fields, line
from compressjax.core._operation import Convolution, Dense, Product, Ragged, Window

_ROLE = "compressjax_role"
_ALIGNED = "compressjax_aligned"
_ADDED = "compressjax_added"

T = TypeVar("T", bound=type)

_TYPES: "dict[str, type[Node]]" = {}


def value(*, aligned: bool = False, **kwargs: Any) -> Any:
    """Declares a field that optimizers may train and later methods may compress.

    Args:
        aligned: True when the field matches the dense tensor entry for entry; its value path is then that of the
            tensor, without the field name.
        **kwargs: Passed to `dataclasses.field`, for example a default.

    Returns:
        A dataclass field.

    Example:
        >>> field = value(aligned=True)
        >>> field.metadata["compressjax_role"]
        'value'
    """
    return dataclasses.field(metadata={_ROLE: "value", _ALIGNED: aligned}, **kwargs)


def buffer(**kwargs: Any) -> Any:
    """Declares an array field that is never trained: masks, codes, scales.

    Args:
        **kwargs: Passed to `dataclasses.field`.

    Returns:
        A dataclass field.

    Example:
        >>> buffer(default=None).default is None
        True
    """
    return dataclasses.field(metadata={_ROLE: "buffer", _ALIGNED: False}, **kwargs)


def meta(*, added: bool = False, **kwargs: Any) -> Any:
    """Declares a static, hashable field, such as a bit width or an axis order.

    Args:
        added: True for a field that came later: files hold it only where it differs from its default, so that all
            other files stay as they were.
        **kwargs: Passed to `dataclasses.field`.

    Returns:
        A dataclass field.

    Example:
        >>> meta(default=8).default
        8
    """
    return dataclasses.field(metadata={_ROLE: "meta", _ALIGNED: False, _ADDED: added}, **kwargs)


class Node:
    """Base class of compressed tensors; a node knows its dense shape, its dense values and its exact size.

    Declare subclasses with `core.node`, and define `shape`, `dtype`, `materialize` and `size_bits`. Metadata may
    describe trailing axes only: a node whose arrays all have one more leading axis is then a stack of nodes, and
    `jax.vmap` and `jax.lax.scan` run over it as over an array.

    All other methods are optional. Each runs one operation on the compressed form, or returns `Dense(reason)`, as the
    defaults do: the node is then materialized, and the reason recorded. Use the functions of `compressjax.core.ops` on
    fields, because they take both arrays and nodes.
    """

    roles: ClassVar[dict[str, str]] = {}
    aligned: ClassVar[frozenset[str]] = frozenset()
    added: ClassVar[Mapping[str, Any]] = {}
    type_name: ClassVar[str] = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        raise TypeError(f"{type(self).__name__} must define shape")

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        raise TypeError(f"{type(self).__name__} must define dtype")

    def materialize(self) -> jax.Array:
        """The dense tensor."""
        raise TypeError(f"{type(self).__name__} must define materialize")

    def size_bits(self, kept: int | None = None) -> int:
        """Packed size in bits; with `kept`, the size when only that many entries are stored."""
        raise TypeError(f"{type(self).__name__} must define size_bits")

    def misfit(self) -> str:
        """Why the fields do not fit together, in words; empty if they do. Nodes inside are asked themselves."""
        return ""

    def replace(self, **changes: Any) -> Self:
        """The node with some fields replaced."""
        made: Any = self
        return cast(Self, dataclasses.replace(made, **changes))

    @property
    def ndim(self) -> int:
        """Number of axes of the dense tensor."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries of the dense tensor."""
        return int(np.prod(self.shape, dtype=np.int64))

    def describe(self) -> str:
        """What `repr` shows after the dense array; by default every field, shortened."""
        return fields(self)

    def __repr__(self) -> str:
        return line(self, bits=True)

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """The node with its axes in another order."""
        return Dense("its axes cannot be permuted in compressed form")

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """The node with its entries in another shape, row-major; called only if it has entries."""
        return Dense("it cannot be reshaped in compressed form")

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """A window of every axis; None keeps the whole axis."""
        return Dense("it cannot be sliced in compressed form")

    def concatenate(self, others: "tuple[Any, ...]", axis: int) -> Any:
        """One node for this and other nodes of its class, joined along an axis."""
        return Dense("it cannot be joined with others in compressed form")

    def convert(self, dtype: Any) -> Any:
        """The node of another floating dtype."""
        return Dense("its dtype cannot be changed in compressed form")

    def rows(self, indices: jax.Array) -> Any:
        """Rows along axis 0, dense; indices out of range are clipped."""
        return Dense("its rows cannot be read in compressed form")

    def dot(self, x: jax.Array, product: Product) -> Any:
        """The product with an array on the left; result axes are (batch, free axes of x, free axes of the node)."""
        grid = self.as_grid()
        return grid if isinstance(grid, Dense) else grid.dot(x, product)

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """The convolution of an array with the node as the kernel."""
        grid = self.as_grid()
        return grid if isinstance(grid, Dense) else grid.conv(x, convolution)

    def ragged_dot(self, x: jax.Array, ragged: Ragged) -> Any:
        """The product of sorted rows with the matrices `[experts, in, out]` of a node, `[rows, out]`."""
        grid = self.as_grid()
        return grid if isinstance(grid, Dense) else grid.ragged_dot(x, ragged)

    def as_grid(self) -> Any:
        """The node as an integer grid, for integer products; `Dense` when it has no such form."""
        return Dense("it has no product in compressed form")

    def input_errors(self, x: jax.Array, largest: jax.Array) -> Any:
        """Bounds of how far products round each entry of `x`, where rows have this largest magnitude; None for not."""
        grid = self.as_grid()
        return None if isinstance(grid, Dense) else grid.input_errors(x, largest)

    def prepare(self) -> Any:
        """The form that runs fastest on this machine: a dense array if the node is not faster."""
        grid = self.as_grid()
        ready = None if isinstance(grid, Dense) else grid.prepare()
        return ready if isinstance(ready, Node) else self.materialize()

    def pack(self) -> Any:
        """The smallest form in memory, from which rows can be read and products run."""
        return self

    def masked(self, mask: jax.Array) -> "Node | None":
        """The node with zeros outside a mask; None if its form cannot hold them."""
        return None

    def multiply_adds(self) -> int:
        """Multiplications and additions for one input row of a dense layer or one output position of a convolution."""
        return self.size

    def stacked(self) -> "Node | None":
        """The same tensor with axis 0 on every array, ready for `scan`; None when it cannot be split."""
        return None

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """The node with a `PartitionSpec` per array, so that each device holds the node of its shard.

        `axes` are the mesh axes of each axis of the dense tensor; `sizes` counts the devices along each mesh axis.
        """
        return Dense("its arrays have no known relation to the axes of the tensor")

    def mesh_axes(self) -> list[Any]:
        """The mesh axes that shard each axis of the dense tensor, where array types hold their sharding."""
        return [None] * self.ndim


@dataclass_transform(frozen_default=True, field_specifiers=(value, buffer, meta))
def node(cls: T) -> T:
    """Turns a class with role-annotated fields into a frozen pytree dataclass, and registers its name.

    The type name is the class name inside compressjax, and `"module:QualName"` elsewhere. A later class of the same
    name replaces the earlier one, so a notebook cell can run again. Programs of `jax.export` take nodes as arguments.

    Args:
        cls: Subclass of `Node` whose every field is `value()`, `buffer()` or `meta()`.

    Returns:
        The class, as a pytree whose children are its `value` and `buffer` fields.

    Raises:
        ValueError: If a field has no role.

    Example:
        >>> @node
        ... class Scaled(Node):
        ...     base: jax.Array = value()
        ...     factor: int = meta(default=2)
        >>> jax.tree.leaves(Scaled(1.0, 3))
        [1.0]
    """
    made: Any = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
    roles = {field.name: field.metadata.get(_ROLE) for field in dataclasses.fields(made)}
    missing = [name for name, role in roles.items() if role is None]
    if missing:
        name = made.__name__
        raise ValueError(f"{name}: fields {missing} have no role; declare them with value(), buffer() or meta()")
    made.roles = roles
    made.added = {f.name: f.default for f in dataclasses.fields(made) if f.metadata.get(_ADDED)}
    made.aligned = frozenset(f.name for f in dataclasses.fields(made) if f.metadata[_ALIGNED])
    own = made.__module__.partition(".")[0] == "compressjax"
    made.type_name = made.__name__ if own else f"{made.__module__}:{made.__qualname__}"
    _TYPES[made.type_name] = made
    jax.tree_util.register_dataclass(
        made,
        data_fields=[name for name, role in roles.items() if role != "meta"],
        meta_fields=[name for name, role in roles.items() if role == "meta"],
    )
    register(made)
    return made


def node_types() -> dict[str, type[Node]]:
    """Returns every node type declared so far with `node`, by the name that files store."""
    return dict(_TYPES)


def is_node(x: Any) -> bool:
    """Whether `x` is a node; use it as `is_leaf` in tree functions.

    Args:
        x: Anything.

    Returns:
        True for instances of `Node`.

    Example:
        >>> is_node(3.0)
        False
    """
    return isinstance(x, Node)


def check_fields(who: str, path: str, item: Any) -> None:
    """Raises if the fields of a node, or of one inside it, do not fit together."""
    for part in item if isinstance(item, tuple) else (item,):
        if isinstance(part, Node):
            for name, role in part.roles.items():
                if role == "value":
                    check_fields(who, path, getattr(part, name))
            if reason := part.misfit():
                raise ValueError(f"{who}: {path!r} is a {type(part).__name__} whose fields do not fit: {reason}; "
                                 "build it from arrays of one tensor")  # fmt: skip


def has_nodes(tree: Any) -> bool:
    """Whether any leaf of a tree is a node."""
    return any(map(is_node, jax.tree.leaves(tree, is_leaf=is_node)))


def dense(x: Any) -> jax.Array:
    """Returns the dense array of an array or a node.

    Args:
        x: An array or a node.

    Returns:
        `x.materialize()` for a node, `x` itself as a JAX array otherwise.

    Example:
        >>> dense(2.0).shape
        ()
    """
    return x.materialize() if isinstance(x, Node) else jnp.asarray(x)


def entry_bits(x: Any, kept: int | None = None) -> int:
    """Returns the packed size in bits of an array or a node.

    Args:
        x: An array, an abstract array or a node.
        kept: Number of stored entries; all when None.

    Returns:
        Number of bits.

    Example:
        >>> entry_bits(jnp.zeros((4, 4), jnp.float32), kept=3)
        96
    """
    if isinstance(x, Node):
        return x.size_bits(kept)
    count = int(np.prod(x.shape, dtype=np.int64)) if kept is None else kept
    bits = 1 if x.dtype == np.bool_ else 8 * x.dtype.itemsize
    return count * bits
