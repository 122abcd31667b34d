"""Tensors in polar form, by hand, and what does not fit."""

import numpy as np
import pytest

from compressjax.coding import materialize
from compressjax.decoders._weight_norm import _check
from tests.coding.samples import spec, weights


def test_columns_have_their_lengths():
    inner, lengths = weights(0, 5, 3), np.array([[1.0, 2.0, 0.5]], np.float32)
    inner[:, 1] = 0
    dense = materialize(spec("WeightNorm", {"inner": inner, "magnitude": lengths}))
    np.testing.assert_allclose(np.linalg.norm(dense, axis=0), [1, 0, 0.5], rtol=1e-5)
    np.testing.assert_allclose(dense[:, 0], inner[:, 0] / np.linalg.norm(inner[:, 0]), rtol=1e-5)


def test_misfits_are_refused():
    for lengths in ((3,), (2, 3)):
        with pytest.raises(ValueError, match="is none of a tensor"):
            _check({"inner": 0, "magnitude": 0}, {"inner": (5, 3), "magnitude": lengths}, {})
    _check({"inner": 0, "magnitude": 0}, {"inner": (5, 3), "magnitude": (1, 3)}, {})
