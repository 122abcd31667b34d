"""Masks as data: which entries a view keeps, and which entries train."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._node import is_node
from compressjax.core._tree import map_values
from compressjax.numerics._host import on_host
from compressjax.numerics._numerics import straight_through

ByPath = Mapping[str, jax.Array]


class Masks(NamedTuple):
    """Masks of entries as `{value path: bool array}`; a missing path means all entries.

    Attributes:
        used: Entries that the view keeps; the others become zeros. None means all.
        trained: Entries that train; None means those of `used`, `{}` means all.
    """

    used: ByPath | None = None
    trained: ByPath | None = None

    @property
    def moving(self) -> ByPath:
        """Entries that train, by path."""
        return (self.used if self.trained is None else self.trained) or {}


def zero_masked(tree: Any, masks: ByPath | None) -> Any:
    """Sets masked entries to zero.

    Args:
        tree: A tree of arrays and nodes, or a flat `{path: array}` dict.
        masks: `{path: bool array}`, False for zero; values without a mask stay, masks without a value have no effect.

    Returns:
        The masked tree.

    Example:
        >>> zero_masked({"a": jnp.ones(2), "b": jnp.ones(1)}, {"a": jnp.array([True, False])})["a"].tolist()
        [1.0, 0.0]
    """
    if not masks:
        return tree
    return map_values(lambda path, x: _zeroed(x, masks[path]) if path in masks else x, tree)


def _zeroed(x: jax.Array, mask: jax.Array) -> jax.Array:
    # Use where instead of a product: -1 * 0 is -0, and inf * 0 is NaN.
    here, kept = on_host(x), on_host(mask)
    if here is not None and kept is not None:
        return jnp.asarray(np.where(kept, here, np.zeros((), here.dtype)))
    return jnp.where(mask, x, jnp.zeros((), x.dtype))


def dense_gradient(tree: Any, viewed: Any) -> Any:
    """Passes gradients of a view straight to its input, so that masked weights get a gradient too.

    Args:
        tree: Arrays, the input of the view.
        viewed: The output of the view, of the same structure; nodes keep their own gradient.

    Returns:
        `viewed`, bit for bit.

    Example:
        >>> jax.grad(lambda x: dense_gradient({"a": x}, {"a": jnp.zeros(())})["a"])(3.0).item()
        1.0
    """
    return jax.tree.map(lambda x, y: y if y is x or is_node(y) else straight_through(x, y), tree, viewed)


def intersect(first: Masks, second: Masks) -> Masks:
    """Entries that both masks keep."""
    return Masks(_and(first.used, second.used), _and(first.moving, second.moving))


def _and(first: ByPath | None, second: ByPath | None) -> dict[str, jax.Array]:
    first, second = first or {}, second or {}
    return {**first, **{path: mask & first[path] if path in first else mask for path, mask in second.items()}}
