"""Quantized: grids by hand."""

import jax.numpy as jnp
import pytest

from compressjax import tensors


def test_affine_grid_by_hand() -> None:
    node = tensors.Quantized(
        jnp.array([[0, 15], [8, 4]], jnp.uint8), jnp.array([[0.5, 0.25]]), jnp.array([[8, 4]], jnp.int32), bits=4
    )
    assert node.materialize().tolist() == [[-4.0, 2.75], [0.0, 0.0]]
    assert node.size_bits() == 4 * 4 + 2 * 32 + 2 * 32
    assert node.size_bits(1) == 4 + 2 * 32 + 2 * 32


@pytest.mark.parametrize("bits", range(2, 9))
def test_extremes_of_every_width(bits: int) -> None:
    """The whole range is exact in float32, uint8 codes included: 255 must not wrap to -1."""
    top = 2**bits - 1
    node = tensors.Quantized(jnp.array([0, top], jnp.uint8), jnp.ones(1), jnp.array([top], jnp.int32), bits=bits)
    assert node.materialize().tolist() == [-float(top), 0.0]
