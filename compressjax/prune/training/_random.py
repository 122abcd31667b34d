"""Random masks."""

import jax
import jax.numpy as jnp

from compressjax.numerics import with_auto_axes
from compressjax.numerics._keys import stream
from compressjax.prune.patterns._checks import Distribution
from compressjax.prune.patterns._masks import masks_of
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._masking import Arrays, shapes_of


def drawn_masks(
    data: jax.Array, flat: Arrays, sparsity: float, distribution: Distribution, pattern: str | Pattern = "unstructured"
) -> Arrays:
    """Random masks of a sparsity, the start of methods that are sparse from the first step."""
    shapes = shapes_of(flat)

    def draw(data: jax.Array) -> Arrays:
        chances = {path: jax.random.uniform(stream(data, path), shape, jnp.float32) for path, shape in shapes.items()}
        return masks_of(chances, sparsity, distribution, pattern)

    return with_auto_axes(draw, flat)(data)
