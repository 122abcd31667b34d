"""Binary and ternary scales against search by brute force."""

import jax.numpy as jnp
import numpy as np

from compressjax import quant
from compressjax.quant.grids._quantize import quantize

W = np.random.default_rng(0).standard_t(4, size=(30, 3)).astype(np.float32)


def best_ternary(w):
    """The least error over all thresholds, each with its own optimal scale."""
    found = []
    for limit in np.abs(w):
        codes = np.sign(w) * (np.abs(w) >= limit)
        scale = np.abs(w)[codes != 0].mean()
        found.append((((w - scale * codes) ** 2).sum(), scale, codes))
    return min(found, key=lambda row: row[0])


def test_the_exact_ternary_optimum():
    node, _ = quantize("k", jnp.asarray(W), quant.grid("ternary"))
    for column in range(3):
        _, scale, codes = best_ternary(W[:, column].astype(np.float64))
        np.testing.assert_array_equal(node.dense_codes()[:, column], codes)
        np.testing.assert_allclose(node.scale[0, column], scale, rtol=2**-16)


def test_ternary_weight_networks():
    for fraction in (0.75, 0.7):
        node, _ = quantize("k", jnp.asarray(W), quant.grid("ternary", clip=("twn", fraction)))
        above = np.abs(W) > fraction * np.abs(W).mean(0)
        np.testing.assert_array_equal(node.dense_codes(), np.sign(W) * above)
        np.testing.assert_allclose(node.scale[0], [np.abs(W[a, i]).mean() for i, a in enumerate(above.T)], rtol=2**-16)


def test_binary_filters():
    """XNOR-Net: the sign times the mean magnitude of a filter."""
    w = np.random.default_rng(1).normal(size=(3, 3, 4, 2)).astype(np.float32)
    node, inside = quantize("k", jnp.asarray(w), quant.grid("binary"))
    alpha = np.abs(w).mean((0, 1, 2))
    np.testing.assert_allclose(node.materialize(), np.where(w < 0, -alpha, alpha), rtol=2**-16)
    assert inside.all()
    assert not quantize("k", jnp.zeros((4, 2)), quant.grid("binary"))[0].materialize().any()
    assert not quantize("k", jnp.zeros((4, 2)), quant.grid("binary", second=2))[0].materialize().any()
