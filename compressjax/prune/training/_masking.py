"""Compressions whose state holds masks: what is masked is seen as zero, stored under its mask, and does not move."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, Masks, check_finite, on_values, zero_masked
from compressjax.tensors import Masked

Arrays = dict[str, jax.Array]


def masking(
    name: str, *, masks: Callable[[Arrays, Any], Masks] = lambda flat, state: Masks(state.masks), **parts: Any
) -> Compression:
    """`on_values` for a method of masks: what they keep is stored as `Masked` nodes.

    Args:
        name: Static description.
        masks: `(values, state) -> Masks`.
        **parts: What else `on_values` takes.

    Returns:
        The compression.

    Example:
        >>> from types import SimpleNamespace
        >>> half = masking("half", init=lambda flat: SimpleNamespace(masks={path: x > 1 for path, x in flat.items()}))
        >>> params = {"kernel": jnp.array([[1.0, 2.0]])}
        >>> half.view(params, half.init(params))["kernel"].tolist()
        [[0.0, 2.0]]
    """

    def encode(flat: Arrays, state: Any) -> dict[str, Masked]:
        return masked_nodes(flat, masks(flat, state).used or {})

    return on_values(name, **{"masks": masks, "encode": encode, **parts})


def count_and_zero(flat: Arrays, state: Any, stats: Any) -> tuple[Arrays, Any]:
    """`after_step` of methods whose masks move before the step: dropped weights go to exactly 0.

    Args:
        flat: `{path: array}`.
        state: With `count` and `masks`.
        stats: Not read.

    Returns:
        The arrays and the state, one step on.

    Example:
        >>> from compressjax.prune import GradualState
        >>> state = GradualState(jnp.int32(1), {"a": jnp.array([True, False])})
        >>> count_and_zero({"a": jnp.ones(2)}, state, None)[0]["a"].tolist()
        [1.0, 0.0]
    """
    del stats
    return zero_masked(flat, state.masks), state._replace(count=state.count + 1)


def masked_nodes(flat: Arrays, masks: Mapping[str, jax.Array]) -> dict[str, Masked]:
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
    return {path: Masked(x, masks[path]) for path, x in zero_masked(flat, masks).items()}


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
