"""Compressions whose state holds masks: what is masked is seen as zero, stored under its mask, and does not move."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, check_finite, on_values
from compressjax.numerics import straight_through
from compressjax.tensors import Masked

Arrays = dict[str, jax.Array]


def masking(
    name: str,
    *,
    masks: Callable[[Any], Arrays] = lambda state: state.masks,
    straight: bool = False,
    land: bool = False,
    settles: bool = False,
    **parts: Any,
) -> Compression:
    """Builds the compression of a method from what is its own: the masks of its state, and how they come about.

    .. math:: view(W) = constrain(W) = project(W) = M \\odot W, \\qquad encode(W) = Masked(M \\odot W, M)

    Args:
        name: Static description.
        masks: `state -> {path: bool array}`, True where the weight is used.
        straight: Whether the view passes the gradient of masked weights too; the method then has a `receive`.
        land: Whether `project` puts masked weights to exactly 0 after a step: for masks that may lose entries while
            the weights under them move.
        settles: Whether the view's zeros come back after later views although `constrain` allows more: for methods
            whose masked weights learn.
        **parts: What else `on_values` takes, and what is to differ from the above.

    Returns:
        The compression.

    Example:
        >>> from types import SimpleNamespace
        >>> half = masking("half", init=lambda flat: SimpleNamespace(masks={path: x > 1 for path, x in flat.items()}))
        >>> params = {"kernel": jnp.array([[1.0, 2.0]])}
        >>> half.view(params, half.init(params))["kernel"].tolist()
        [[0.0, 2.0]]
    """

    def zeroed(flat: Arrays, state: Any) -> Arrays:
        return apply_masks(flat, masks(state))

    def view(flat: Arrays, state: Any) -> Arrays:
        return dense_gradient(flat, zeroed(flat, state)) if straight else zeroed(flat, state)

    made: dict[str, Any] = {
        "view": view,
        "encode": lambda flat, state: masked_nodes(flat, masks(state)),
        "constrain": zeroed,
        "project": zeroed if land else None,
        "settle": (lambda flat, seen, state: zeroed(flat, state)) if settles else None,
    }
    return on_values(name, **{**made, **parts})


def dense_gradient(flat: Arrays, seen: Mapping[str, jax.Array]) -> Arrays:
    """What a view shows, with the gradient of what it was given: masked weights get theirs too.

    Args:
        flat: `{path: array}` that the view was given.
        seen: `{path: array}` that it shows.

    Returns:
        `{path: array}`, bit for bit `seen`.

    Example:
        >>> jax.grad(lambda x: dense_gradient({"a": x}, {"a": jnp.zeros(())})["a"])(3.0).item()
        1.0
    """
    return {path: straight_through(flat[path], x) for path, x in seen.items()}


def apply_masks(flat: Arrays, masks: Arrays) -> Arrays:
    """Sets what the masks leave out to zero; paths may be a part of the masks' paths.

    Args:
        flat: `{path: array}`.
        masks: `{path: bool array}`.

    Returns:
        `{path: array}`.

    Example:
        >>> apply_masks({"a": jnp.ones(2)}, {"a": jnp.array([True, False])})["a"].tolist()
        [1.0, 0.0]
    """
    # where, not a product: -1 * 0 is -0, and inf * 0 is nan.
    return {path: jnp.where(masks[path], x, jnp.zeros((), x.dtype)) for path, x in flat.items()}


def masked_nodes(flat: Arrays, masks: Arrays) -> dict[str, Masked]:
    """The nodes of masked leaves.

    Args:
        flat: `{path: array}`.
        masks: `{path: bool array}`.

    Returns:
        `{path: Masked}`.

    Example:
        >>> masked_nodes({"a": jnp.ones(2)}, {"a": jnp.array([True, False])})["a"].size_bits()
        34
    """
    for path, x in flat.items():  # a mask would hide a NaN behind a clean zero
        check_finite("prune", path, x)
    return {path: Masked(x, masks[path]) for path, x in apply_masks(flat, masks).items()}


def whole_masks(flat: Arrays) -> Arrays:
    """Masks that keep everything.

    Args:
        flat: `{path: array}`.

    Returns:
        `{path: bool array}`.

    Example:
        >>> whole_masks({"a": jnp.zeros(2)})["a"].tolist()
        [True, True]
    """
    return {path: jnp.ones_like(x, bool) for path, x in flat.items()}


def shapes_of(flat: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes as `kept_counts` and `densities` take them.

    Args:
        flat: `{path: array}`.

    Returns:
        `{path: shape}`.

    Example:
        >>> shapes_of({"a": jnp.zeros((2, 3))})
        {'a': (2, 3)}
    """
    return {path: tuple(x.shape) for path, x in flat.items()}
