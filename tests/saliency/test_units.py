"""Reductions over units against NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import saliency
from tests import helpers


@pytest.mark.parametrize(
    ("reduce", "function"),
    [
        ("sum", np.sum),
        ("mean", np.mean),
        ("max", np.max),
        ("norm", lambda x: np.sqrt(np.sum(x * x))),
        ("squared_sum", lambda x: np.sum(x) ** 2),
    ],
)
def test_reductions_over_all_members(reduce, function):
    conv, after, bias = helpers.array(0, (3, 3, 2, 4)), helpers.array(1, (8, 6)), helpers.array(2, (4,))
    scores = {"conv": conv, "after": after, "bias": bias, "other": jnp.ones(3)}
    members = [("conv", 3), ("after", 0, np.arange(8).reshape(4, 2)), ("bias", 0), ("absent", 0)]
    got = saliency.unit_scores(scores, {"channels": members}, reduce)["channels"]
    for u in range(4):
        mine = np.concatenate([np.asarray(x).ravel() for x in (conv[..., u], after[2 * u : 2 * u + 2], bias[u])])
        np.testing.assert_allclose(got[u], function(mine), rtol=1e-5)


def test_bad_members():
    scores = {"a": jnp.ones((2, 3)), "b": jnp.ones(3)}
    with pytest.raises(ValueError, match=r"members of group 'g' have \[2, 3\] units"):
        saliency.unit_scores(scores, {"g": [("a", 0), ("b", 0)]})
    with pytest.raises(ValueError, match="reduce='median'"):
        saliency.unit_scores(scores, {}, "median")
    with pytest.raises(ValueError, match=r"'g' has no scores: none of \['c'\]"):
        saliency.unit_scores(scores, {"g": [("c", 0)]})
