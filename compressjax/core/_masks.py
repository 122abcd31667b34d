"""Masks as data: which entries a view keeps, and which may move."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._node import is_node
from compressjax.core._tree import map_values
from compressjax.numerics._numerics import straight_through

ByPath = Mapping[str, jax.Array]


class Masks(NamedTuple):
    """Which entries count, as `{value path: bool array}`; None, or an absent path, means all of them.

    Attributes:
        used: What the view keeps; it shows the rest as zeros.
        trained: What moves; as `used` when None. A method that uses a part and trains all says `{}`.
    """

    used: ByPath | None = None
    trained: ByPath | None = None

    @property
    def moving(self) -> ByPath:
        """What moves, by path."""
        return (self.used if self.trained is None else self.trained) or {}


def zero_masked(tree: Any, masks: ByPath | None) -> Any:
    """Sets what masks leave out to zero.

    Args:
        tree: A tree of arrays and nodes, or a flat `{path: array}` dict.
        masks: `{path: bool array}`; values without a mask stay, masks without a value do nothing.

    Returns:
        The tree.

    Example:
        >>> zero_masked({"a": jnp.ones(2), "b": jnp.ones(1)}, {"a": jnp.array([True, False])})["a"].tolist()
        [1.0, 0.0]
    """
    if not masks:
        return tree
    # where, not a product: -1 * 0 is -0, and inf * 0 is nan.
    return map_values(lambda path, x: jnp.where(masks[path], x, jnp.zeros((), x.dtype)) if path in masks else x, tree)


def dense_gradient(tree: Any, viewed: Any) -> Any:
    """What a view shows, with the gradient of what it was given: masked weights get theirs too.

    Args:
        tree: Arrays that the view was given.
        viewed: The same structure; nodes in the place of arrays keep their own gradient.

    Returns:
        Arrays and nodes, bit for bit `viewed`.

    Example:
        >>> jax.grad(lambda x: dense_gradient({"a": x}, {"a": jnp.zeros(())})["a"])(3.0).item()
        1.0
    """
    return jax.tree.map(lambda x, y: y if y is x or is_node(y) else straight_through(x, y), tree, viewed)


def intersect(first: Masks, second: Masks) -> Masks:
    """What both masks keep."""
    return Masks(_and(first.used, second.used), _and(first.moving, second.moving))


def _and(first: ByPath | None, second: ByPath | None) -> dict[str, jax.Array]:
    first, second = first or {}, second or {}
    return {**first, **{path: mask & first[path] if path in first else mask for path, mask in second.items()}}
