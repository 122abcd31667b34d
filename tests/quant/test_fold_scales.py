"""Folding input scales into the layer before: the same outputs, and pairs that do not fit."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, quant, tensors
from compressjax.interpret import observe
from tests import helpers


def model(p, x):
    """A norm before two kernels, then a value and an output projection."""
    h = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True) * p["norm"]["scale"][None] + p["norm"]["bias"][None]
    return (jnp.tanh(h @ p["gate"]) * (h @ p["v"])), jnp.maximum(h @ p["v"] + p["b"][None], 0) @ p["o"].T


@pytest.fixture(scope="module")
def smoothed():
    sizes = {"gate": (6, 4), "v": (6, 4), "o": (3, 4), "b": (4,)}
    params = {name: helpers.array(i, shape) for i, (name, shape) in enumerate(sizes.items())}
    params["norm"] = {"scale": jnp.array([1.0, 9.0, 1.0, 0.1, 1.0, 2.0]), "bias": helpers.array(8, (6,))}
    x = helpers.array(9, (20, 6))
    _, stats = observe(model)(params, x)
    method = quant.smooth_quant(activation=None, shared=[("gate", "v")])
    return core.compress(params, {"gate|v|o": method}, stats), x, {path: s.layout for path, s in stats.items()}


def test_the_function_is_the_same(smoothed):
    tree, x, layout = smoothed
    pairs = {("norm/scale", "norm/bias"): ("gate", "v"), ("v", "b"): "o"}
    folded = quant.fold_scales(tree, pairs, layout=layout)
    assert [type(folded[k]) for k in ("gate", "v", "o")] == [tensors.Quantized, tensors.Scaled, tensors.Quantized]
    for got, want in zip(interpret.lift(model)(folded, x), interpret.lift(model)(tree, x), strict=True):
        if got.shape == (20, 3):
            np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())
    one = quant.fold_scales(tree, {("norm/scale", "norm/bias"): ("gate", "v")})
    for got, want in zip(interpret.lift(model)(one, x), interpret.lift(model)(tree, x), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"norm/scale": "norm/bias"}, "'norm/bias' has no input scale"),
        ({"norm/scale": "w"}, "the tree has no 'w'; it has"),
        ({"nor": "gate"}, "the tree has no 'nor'"),
        ({"b": "gate"}, "'b' of shape .* writes 4 numbers, its readers scale 6 inputs"),
        ({"norm/scale": "gate", "norm/bias": "gate"}, "name it once"),
    ],
)
def test_pairs_that_do_not_fit(smoothed, pairs, message):
    with pytest.raises(ValueError, match=f"fold_scales: .*{message}"):
        quant.fold_scales(smoothed[0], pairs)


def test_readers_with_scales_of_their_own_are_refused():
    tree = {
        "n": jnp.ones(2),
        **{k: tensors.Scaled(jnp.ones((2, 1)), jnp.full((2, 1), s)) for k, s in (("a", 1.0), ("b", 2.0))},
    }
    with pytest.raises(ValueError, match=r"different input scales; quantize them with shared="):
        quant.fold_scales(tree, {"n": ("a", "b")})
