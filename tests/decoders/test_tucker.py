"""Factorized kernels against einsum, and what does not fit."""

import numpy as np
import pytest

from compressjax.coding import materialize
from compressjax.decoders._tucker import _check
from tests.coding.samples import spec, weights


def test_tucker_is_a_contraction():
    left, core, right = weights(0, 4, 2), weights(1, 3, 3, 2, 3), weights(2, 3, 5)
    dense = materialize(spec("Tucker", {"left": left, "core": core, "right": right}))
    np.testing.assert_allclose(dense, np.einsum("ir,hwrq,qo->hwio", left, core, right), rtol=1e-4)
    left, core, right = weights(0, 6, 4, 2), weights(1, 6, 3, 7, 2), weights(2, 6, 3, 5)
    fields = {"left": left, "core": core, "right": right}
    dense = materialize(spec("Tucker", fields, inputs=-1, outputs=-3))
    np.testing.assert_allclose(dense, np.einsum("bir,bqkr,bqo->boki", left, core, right), rtol=1e-4)


@pytest.mark.parametrize(
    ("shapes", "meta"),
    [
        (((4, 2), (2, 3), (2, 5)), {}),
        (((4, 2), (2, 3), (3, 5)), {"inputs": -1}),
        (((4, 2), (2, 3), (3, 5)), {"outputs": 5}),
    ],
)
def test_misfits_are_refused(shapes, meta):
    named = dict(zip(("left", "core", "right"), shapes))
    with pytest.raises(ValueError, match=r"share no ranks|do not fit fields"):
        _check(named, named, meta)
    _check(named, {**named, "core": (2, shapes[2][0])}, {})
