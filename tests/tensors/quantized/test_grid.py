"""Blocks, storage orders, and what does not tile."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import tensors
from compressjax.tensors.quantized._grid import expand_blocks, storage_order


@pytest.mark.turns(3)
@pytest.mark.parametrize("shape", [(4,), (4, 6), (2, 3, 4)])
def test_expand_blocks_against_loops(shape: tuple[int, ...]) -> None:
    for blocks in itertools.product(*([d for d in range(1, n + 1) if n % d == 0] for n in shape)):
        x = np.arange(np.prod(blocks)).reshape(blocks)
        got = np.broadcast_to(expand_blocks(jnp.asarray(x), shape), shape)
        for i in np.ndindex(*shape):
            assert got[i] == x[tuple(i[a] // (shape[a] // blocks[a]) for a in range(len(shape)))]


@pytest.mark.parametrize("blocks", [(2, 4), (3, 6), (4,), (0, 6), (8, 6)])
def test_blocks_that_do_not_tile(blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="every axis must divide"):
        expand_blocks(jnp.zeros(blocks), (4, 6))


@pytest.mark.parametrize("order", [(), *itertools.permutations(range(2)), *itertools.permutations(range(3))])
def test_storage_order_and_shape(order: tuple[int, ...]) -> None:
    dense = np.arange(24).reshape(2, 3, 4)
    permutation = storage_order(3, order)
    lead = 3 - len(order)
    assert permutation[:lead] == tuple(range(lead))
    assert sorted(permutation) == [0, 1, 2]
    node = tensors.Quantized(jnp.asarray(dense.transpose(permutation), jnp.int8), jnp.ones((1, 1, 1)), order=order)
    assert node.shape == (2, 3, 4)
    np.testing.assert_array_equal(node.materialize(), dense)


def test_shape_and_dtype_of_abstract_codes() -> None:
    node = tensors.Quantized(jnp.zeros((3, 2), jnp.int8), jnp.ones((1, 3)), order=(1, 0), dtype_name="bfloat16")
    abstract = jax.eval_shape(lambda n: n, node)
    assert abstract.shape == (2, 3)
    assert abstract.dtype == jnp.bfloat16
    assert abstract.size_bits() == 6 * 8 + 3 * 32
