"""Compressions with masks: masked weights are zero in the view and in the file, and do not move."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression, Masks, on_values, zero_masked
from compressjax.numerics._host import on_host
from compressjax.numerics._placement import alike
from compressjax.tensors import Masked

Arrays = dict[str, jax.Array]


def masking(
    name: str, *, masks: Callable[[Arrays, Any], Masks] = lambda flat, state: Masks(state.masks), **parts: Any
) -> Compression:
    """`on_values` for a method with masks: stores `Masked` nodes."""

    def encode(flat: Arrays, state: Any) -> dict[str, Masked]:
        return masked_nodes(flat, masks(flat, state).used or {})

    return on_values(name, **{"masks": masks, "encode": encode, **parts})


def count_and_zero(flat: Arrays, state: Any, stats: Any) -> tuple[Arrays, Any]:
    """`after_step` of methods that change masks in `before_step`: sets dropped weights to exactly 0."""
    return zero_masked(flat, state.masks), state._replace(count=state.count + 1)


def masked_nodes(flat: Arrays, masks: Mapping[str, jax.Array]) -> dict[str, Masked]:
    """The leaves as `Masked` nodes."""
    return {path: Masked(x, masks[path]) for path, x in zero_masked(flat, masks).items()}


def whole_masks(flat: Arrays) -> Arrays:
    """Masks that keep everything."""
    return {
        path: alike(jnp.ones_like(x, bool), x) if on_host(x) is None else jnp.asarray(np.ones(x.shape, bool))
        for path, x in flat.items()
    }


def shapes_of(flat: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes as `kept_counts` and `densities` take them."""
    return {path: tuple(x.shape) for path, x in flat.items()}
