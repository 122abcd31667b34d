"""Grids against the node, and axis orders."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import tensors
from compressjax.coding import ArtifactError, materialize
from compressjax.decoders._quantized import _axes
from tests.coding.samples import spec, weights


@pytest.mark.parametrize("order", [(), (1, 0), (0, 1)])
@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_quantized_equals_the_node(order, groups, name):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (4, 6) if order == (1, 0) else (6, 4)).astype(np.uint8)
    scale, zero = np.abs(weights(1, groups, 4)), rng.integers(0, 16, (groups, 4)).astype(np.int32)
    fields = {"codes": codes, "scale": scale, "zero_point": zero, "activation_scale": None}
    dense = materialize(spec("Quantized", fields, bits=4, order=order, dtype_name=name, activation=None))
    node = tensors.Quantized(jnp.asarray(codes), jnp.asarray(scale), jnp.asarray(zero), None, 4, order, None, name)
    assert dense.shape == node.shape
    assert dense.tolist() == np.asarray(node.materialize(), np.float32).tolist()


def test_order_speaks_of_trailing_axes():
    assert _axes({"order": (1, 0)}, 3) == (0, 2, 1)
    assert _axes({}, 2) == (0, 1)
    with pytest.raises(ArtifactError, match="does not fit an array of 1 axes"):
        _axes({"order": (1, 0)}, 1)


def test_blocks_that_do_not_tile_are_refused():
    with pytest.raises(ArtifactError, match="3 blocks do not tile an axis of 4"):
        materialize(spec("Quantized", {"codes": np.zeros((4, 2), np.int8), "scale": np.ones((3, 1))}))
