"""Kronecker products against NumPy's, and what does not fit."""

import numpy as np
import pytest

from compressjax.coding import materialize
from compressjax.decoders._kronecker import _check
from tests.coding.samples import spec, weights


def test_terms_are_added():
    left, right = weights(0, 2, 3, 4), weights(1, 2, 5, 2)
    dense = materialize(spec("Kronecker", {"left": left, "right": right}, inputs=(15,), outputs=(4, 2)))
    expected = np.kron(left[0], right[0]) + np.kron(left[1], right[1])
    np.testing.assert_allclose(dense, expected.reshape(15, 4, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("terms", "inputs"), [(3, (15,)), (2, (14,))])
def test_misfits_are_refused(terms, inputs):
    shapes = {"left": (2, 3, 4), "right": (terms, 5, 2)}
    with pytest.raises(ValueError, match=r"share no terms|are not axes of"):
        _check(shapes, shapes, {"inputs": inputs, "outputs": (8,)})
    _check(shapes, {**shapes, "right": (2, 5, 2)}, {"inputs": (15,), "outputs": (8,)})
