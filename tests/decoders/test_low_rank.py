"""Products of factors against einsum."""

import numpy as np
import pytest

from compressjax.coding import ArtifactError, materialize
from tests.coding.samples import spec, weights


def test_low_rank_is_a_contraction():
    left, right = weights(0, 3, 3, 4, 2), weights(1, 2, 5)
    dense = materialize(spec("LowRank", {"left": left, "right": right}, inputs=3))
    np.testing.assert_allclose(dense, np.einsum("abcr,ro->abco", left, right), rtol=1e-5)
    left, right = weights(2, 6, 4, 2), weights(3, 6, 2, 5, 3)
    dense = materialize(spec("LowRank", {"left": left, "right": right}, inputs=1))
    np.testing.assert_allclose(dense, np.einsum("bir,broh->bioh", left, right), rtol=1e-5)


def test_a_product_that_is_too_large_is_refused():
    wide = spec("LowRank", {"left": np.zeros((10**5, 1), np.float32), "right": np.zeros((1, 10**5), np.float32)})
    with pytest.raises(ArtifactError, match=r"needs 40000000000 bytes, above max_bytes.*larger"):
        materialize(wide)
