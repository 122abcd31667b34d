"""BatchNorm folding in Flax networks: the same outputs in inference."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import quant
from tests import helpers


class Net(nn.Module):
    """Two convolutions and a dense layer with norms, with or without biases and scales."""

    bias: bool
    scale: bool = True

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.BatchNorm(True, use_scale=self.scale)(nn.Conv(4, (3, 3), use_bias=self.bias)(x)))
        x = nn.BatchNorm(True, use_bias=not self.bias)(nn.Conv(6, (3, 3), strides=2, use_bias=self.bias)(x))
        return nn.BatchNorm(True)(nn.Dense(5, use_bias=self.bias)(x.reshape(len(x), -1)))


PAIRS = {"Conv_0": "BatchNorm_0", "Conv_1": "BatchNorm_1", "Dense_0": "BatchNorm_2"}


@pytest.mark.turns(2)
@pytest.mark.loose
@pytest.mark.parametrize(("bias", "scale"), [(True, True), (False, False)])
def test_the_function_is_the_same(bias, scale):
    model, x = Net(bias, scale), helpers.array(0, (3, 6, 6, 2))
    variables = model.init(jax.random.key(0), x)
    drawn = lambda tree, seed: jax.tree.map(lambda v: 1.0 + 0.3 * jnp.abs(helpers.array(seed, v.shape)), tree)  # noqa: E731
    params = jax.tree.map(lambda v: v + 0.2 * helpers.array(1, v.shape), variables["params"])
    stats = drawn(variables["batch_stats"], 2)
    folded, after = quant.fold_batch_norm(params, stats, PAIRS)
    want = np.asarray(model.apply({"params": params, "batch_stats": stats}, x))
    got = model.apply({"params": folded, "batch_stats": after}, x)
    np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())
    np.testing.assert_array_equal(after["BatchNorm_0"]["mean"], 0)
    assert (np.asarray(folded["Conv_0"]["kernel"]) != np.asarray(params["Conv_0"]["kernel"])).any()


def test_what_does_not_fit_is_named():
    params = {
        "a": {"kernel": jnp.ones((2, 3))},
        "n": {"scale": jnp.ones(3)},
        "m": {"scale": jnp.ones(2), "bias": jnp.ones(2)},
    }
    stats = {name: {"mean": jnp.zeros(n), "var": jnp.ones(n)} for name, n in (("n", 3), ("m", 2))}
    with pytest.raises(ValueError, match="neither 'a' nor 'n' has a bias"):
        quant.fold_batch_norm(params, stats, {"a": "n"})
    with pytest.raises(ValueError, match="the tree has no 'x/mean'"):
        quant.fold_batch_norm(params, stats, {"a": "x"})
    with pytest.raises(ValueError, match="'a/kernel' of shape .* writes 3 channels, its partner has 2"):
        quant.fold_batch_norm(params, stats, {"a": "m"})
