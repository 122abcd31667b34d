"""Tensor trains against einsum, and what does not fit."""

import numpy as np
import pytest

from compressjax.coding import materialize
from compressjax.decoders._tensor_train import _check
from tests.coding.samples import spec, weights


def test_a_train_is_a_contraction():
    a, b, c = weights(0, 1, 2, 3, 4), weights(1, 4, 5, 1, 2), weights(2, 2, 3, 2, 1)
    dense = materialize(spec("TensorTrain", {"cores": (a, b, c)}, inputs=(10, 3), outputs=(6,)))
    expected = np.einsum("aior,rjps,skqb->ijkopq", a, b, c).reshape(10, 3, 6)
    np.testing.assert_allclose(dense, expected, rtol=1e-4, atol=1e-5)
    a, b = weights(0, 2, 1, 2, 3, 4), weights(1, 2, 4, 5, 1, 1)
    dense = materialize(spec("TensorTrain", {"cores": (a, b)}, inputs=(10,), outputs=(3,)))
    np.testing.assert_allclose(dense, np.einsum("naior,nrjps->nijop", a, b).reshape(2, 10, 3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "inputs"),
    [(((1, 2, 3, 4), (3, 5, 1, 1)), (10,)), (((2, 2, 3, 1),), (2,)), (((1, 2, 3, 1),), (3,))],
)
def test_misfits_are_refused(shapes, inputs):
    with pytest.raises(ValueError, match=r"ranks do not meet|are not axes of"):
        _check({"cores": shapes}, {"cores": shapes}, {"inputs": inputs, "outputs": (3,)})
    fits = {"cores": ((1, 2, 3, 4), (4, 5, 1, 1))}
    _check(fits, fits, {"inputs": (10,), "outputs": (3,)})
