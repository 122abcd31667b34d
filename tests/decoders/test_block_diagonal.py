"""Blocks at the places of their units, by loops."""

import numpy as np
import pytest

from compressjax.coding import ArtifactError, materialize
from tests.coding.samples import spec, weights


def test_stacked_blocks_by_a_loop():
    rng = np.random.default_rng(0)
    blocks = weights(0, 2, 3, 2, 4)
    inputs = np.stack([rng.permutation(6).reshape(3, 2) for _ in range(2)]).astype(np.uint8)
    outputs = np.stack([rng.permutation(12).reshape(3, 4) for _ in range(2)]).astype(np.uint8)
    dense = materialize(spec("BlockDiagonal", {"blocks": blocks, "inputs": inputs, "outputs": outputs}))
    asked = np.zeros((2, 6, 12), np.float32)
    for n, b, i, o in np.ndindex(blocks.shape):
        asked[n, inputs[n, b, i], outputs[n, b, o]] = blocks[n, b, i, o]
    np.testing.assert_array_equal(dense, asked)


def test_units_that_are_not_there_are_refused():
    fields = {"blocks": weights(0, 1, 2, 2), "inputs": np.array([[0, 7]]), "outputs": np.array([[0, 1]])}
    with pytest.raises(ArtifactError):
        materialize(spec("BlockDiagonal", fields))
