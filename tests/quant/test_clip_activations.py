"""Ranges of activations: against a search on the entries themselves, over batches, and errors by name."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, quant
from compressjax.interpret import merge, observe
from tests import helpers

X = helpers.array(0, (2000, 4)) * jnp.where(jnp.arange(2000) % 500 == 0, 20.0, 1.0)[:, None]
PARAMS = {"w": helpers.array(1, (4, 3))}


def seen(x, **settings):
    return observe(lambda p, x: x @ p["w"], **settings)(PARAMS, x)[1]


def test_the_least_error_is_that_of_the_entries():
    """Four bits: the cut from 2,048 bins has an error within 2 % of the best cut of the entries."""
    stats = merge(seen(X[:700], histogram=True), seen(X[700:], histogram=True))
    cut = float(quant.clip_activations(stats, "mse", bits=4)["w"].absmax)

    def error(cut):
        step = cut / 7
        return np.mean((X - step * np.clip(np.round(X / step), -7, 7)) ** 2)

    best = min(error(c) for c in np.geomspace(0.5, float(np.abs(X).max()), 200))
    assert error(cut) < 1.02 * best
    assert error(float(np.abs(X).max())) > 2 * best


@pytest.mark.turns(2)
@pytest.mark.parametrize("clip", ["octav", "kl", ("percentile", 99.0)], ids=str)
def test_other_ranges_leave_outliers_out_and_static_grids_take_them(clip):
    stats = quant.clip_activations(seen(X, histogram=True), clip, bits=4)
    cut = float(stats["w"].absmax)
    assert 2 < cut < 0.7 * float(np.abs(X).max())
    if isinstance(clip, tuple):
        np.testing.assert_allclose(cut, np.percentile(np.abs(X), 99), rtol=0.07)
    node = core.compress(PARAMS, quant.rtn(8, activation="static"), stats)["w"]
    np.testing.assert_allclose(node.activation_scale, cut / 127, rtol=1e-6)


def test_bad_input():
    with pytest.raises(ValueError, match="'w' has no histogram"):
        quant.clip_activations(seen(X))
    with pytest.raises(ValueError, match="clip='absmax' must be one of"):
        quant.clip_activations({}, "absmax")
    zeros = {"w": seen(X, histogram=True)["w"].replace(histogram=jnp.zeros(2048).at[0].set(5.0))}
    with pytest.raises(ValueError, match="'w' has observed zeros"):
        quant.clip_activations(zeros)
