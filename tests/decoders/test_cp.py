"""Sums of outer products against einsum, and what does not fit."""

import numpy as np
import pytest

from compressjax.coding import materialize
from compressjax.decoders._cp import _check
from tests.coding.samples import spec, weights


def test_cp_is_a_contraction():
    a, b, c = weights(0, 3, 2), weights(1, 4, 2), weights(2, 5, 2)
    dense = materialize(spec("CP", {"factors": (a, b, c)}))
    np.testing.assert_allclose(dense, np.einsum("ar,br,cr->abc", a, b, c), rtol=1e-5)
    a, b = weights(0, 6, 3, 2), weights(1, 6, 4, 2)
    np.testing.assert_allclose(materialize(spec("CP", {"factors": (a, b)})), np.einsum("nar,nbr->nab", a, b), rtol=1e-5)
    np.testing.assert_allclose(materialize(spec("CP", {"factors": (weights(0, 3, 2),)})), weights(0, 3, 2).sum(1))


def test_misfits_are_refused():
    for shapes in (((3, 2), (4, 3)), ((3,),), ((1, 3, 2), (4, 2))):
        with pytest.raises(ValueError, match="share no rank"):
            _check({"factors": shapes}, {"factors": shapes}, {})
    _check({"factors": ((3, 2), (4, 2))}, {"factors": ((3, 2), (4, 2))}, {})
