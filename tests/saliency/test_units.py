"""Reductions over units against NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import saliency
from tests import helpers


@pytest.mark.parametrize(
    ("reduce", "function"),
    [("sum", np.sum), ("mean", np.mean), ("max", np.max), ("norm", lambda x: np.sqrt(np.sum(x * x)))],
)
def test_reductions_over_all_members(reduce, function):
    conv, after, bias = helpers.array(0, (3, 3, 2, 4)), helpers.array(1, (4, 6)), helpers.array(2, (4,))
    got = saliency.unit_scores([(conv, 3), (after, 0), (bias, 0)], reduce)
    for u in range(4):
        mine = np.concatenate([np.asarray(part).ravel() for part in (conv[..., u], after[u], bias[u])])
        np.testing.assert_allclose(got[u], function(mine), rtol=1e-5)


def test_bad_members():
    with pytest.raises(ValueError, match=r"\[2, 3\] units"):
        saliency.unit_scores([(jnp.ones((2, 3)), 0), (jnp.ones((2, 3)), 1)])
    with pytest.raises(ValueError, match="reduce='median'"):
        saliency.unit_scores([(jnp.ones(2), 0)], "median")
    with pytest.raises(ValueError, match="without members"):
        saliency.unit_scores([])
