"""Scaled tensors in NumPy."""

import numpy as np
import pytest

from compressjax.coding import materialize
from compressjax.decoders._scaled import _check
from tests.coding.samples import shared, spec


def test_every_block_has_its_scale():
    inner, scale = shared(1, 4, 3), np.float32([[2.0], [-1.0]])
    dense = materialize(spec("Scaled", {"inner": inner, "scale": scale}))
    np.testing.assert_array_equal(dense, materialize(inner) * np.repeat(scale, 2, axis=0))


def test_scales_that_do_not_tile_are_refused():
    for scale in (np.ones((3, 1), np.float32), np.ones(4, np.float32), np.ones((4, 1), np.int32)):
        with pytest.raises(ValueError, match="its scale"):
            _check({"inner": None, "scale": scale}, {"inner": (4, 3), "scale": scale.shape}, {})
    _check({"inner": None, "scale": np.ones((2, 1))}, {"inner": (4, 3), "scale": (2, 1)}, {})
