"""AWQ: scale and range search against grids by hand, less error, and zeros under masks."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, prune, quant
from compressjax.interpret import observe
from tests.prune.layers import correlated, error
from tests.quant.test_gptq import rounded


@pytest.fixture(scope="module")
def layer():
    x, params = correlated(3, inputs=16, outputs=6)
    return params, x, observe(lambda p, x: x @ p["kernel"])(params, x)[1]


def by_hand(w, x, bits, group):
    """The exponent with the least output error, in float64; rounding is that of `rtn`."""
    size = np.sqrt((x**2).mean(0))
    losses, scales = [], []
    for r in np.arange(20) / 20:
        s = size**r
        s = s / np.sqrt(s.max() * s.min())
        node = core.compress({"w": jnp.asarray(w * s[:, None], jnp.float32)}, {"w": quant.rtn(bits, granularity=group)})
        wrong = np.asarray(node["w"].materialize(), np.float64) / s[:, None] - w
        losses.append(np.sum((x @ wrong) ** 2))
        scales.append(s)
    return scales[int(np.argmin(losses))], losses


@pytest.mark.turns(2)
@pytest.mark.parametrize("group", ["channel", 4])
def test_the_scale_search_is_a_grid_by_hand(layer, group):
    params, x, stats = layer
    w, rows = np.asarray(params["kernel"], np.float64), np.asarray(x, np.float64)
    want, losses = by_hand(w, rows, 3, group)
    assert 0 < int(np.argmin(losses)) < 19
    node = rounded(quant.awq(3, granularity=group, clip=False), params, stats)
    np.testing.assert_allclose(1 / np.asarray(node.scale)[:, 0], want, rtol=1e-4)
    assert error(node, params, x) == pytest.approx(min(losses), rel=1e-3)


def test_the_range_search_is_a_grid_by_hand(layer):
    params, x, stats = layer
    node = rounded(quant.awq(3, granularity=8), params, stats)
    plain = rounded(quant.awq(3, granularity=8, clip=False), params, stats)
    w, rows, s = (
        np.asarray(params["kernel"], np.float64),
        np.asarray(x, np.float64),
        1 / np.asarray(node.scale, np.float64),
    )
    for g in (0, 1):
        part, own = slice(8 * g, 8 * g + 8), np.asarray(plain.inner.scale, np.float64)[g]
        losses = []
        for ratio in 1 - np.arange(10) / 20:
            q = np.clip(np.round(w[part] * s[part] / (own * ratio)), -3, 3) * own * ratio / s[part]
            losses.append(np.sum((rows[:, part] @ (q - w[part])) ** 2, axis=0))
        best = 1 - np.argmin(losses, axis=0) / 20
        np.testing.assert_allclose(node.inner.scale[g], own * best, rtol=1e-3)


@pytest.mark.turns(2)
@pytest.mark.parametrize("seed", range(3))
def test_error_is_below_round_to_nearest(seed):
    x, params = correlated(seed)
    stats = observe(lambda p, x: x @ p["kernel"])(params, x)[1]
    assert error(rounded(quant.awq(3), params, stats), params, x) < 0.8 * error(
        rounded(quant.rtn(3), params, None), params, x
    )
    diagonal = {"kernel": stats["kernel"].replace(gram=None)}
    assert error(rounded(quant.awq(3), params, diagonal), params, x) < error(
        rounded(quant.rtn(3), params, None), params, x
    )


def test_zeros_stay_zero_under_a_mask(layer):
    params, _, stats = layer
    node = rounded(core.sequence(prune.magnitude(0.5), quant.awq(4)), params, stats)
    kept = np.asarray(node.mask)
    assert 0.4 < kept.mean() < 0.6
    assert (np.asarray(node.value.materialize())[~kept] == 0).all()
    assert (np.asarray(node.materialize())[kept] != 0).mean() > 0.5
