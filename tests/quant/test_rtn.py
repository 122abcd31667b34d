"""Round to nearest as a compression: trees, dtypes, statistics, nesting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, quant
from compressjax.interpret import observe
from compressjax.tensors import Codebook, Masked, Quantized


@pytest.fixture
def params(key):
    return {"a": {"kernel": jax.random.normal(key, (16, 6)), "bias": jnp.ones(6)}, "conv": jnp.ones((3, 3, 2, 4))}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.strict
def test_what_is_viewed_is_stored(params, dtype, symmetric):
    params = jax.tree.map(lambda x: x.astype(dtype), params)
    compression = quant.rtn(4, symmetric=symmetric)
    state = compression.init(params)
    encoded = compression.encode(params, state)
    viewed = jax.jit(compression.view)(params, state)
    assert encoded["a"]["kernel"].dtype == dtype
    for x, y in zip(jax.tree.leaves(core.materialize(encoded)), jax.tree.leaves(viewed), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    assert encoded["a"]["bias"] is params["a"]["bias"]


def test_size(params):
    sizes = core.storage(quant.rtn(4, granularity=8).encode({"kernel": params["a"]["kernel"]}, ()))
    assert sizes == {"kernel": 96 * 4 + 2 * 6 * 32}
    affine = core.storage(quant.rtn(8, symmetric=False).encode({"kernel": params["a"]["kernel"]}, ()))
    assert affine == {"kernel": 96 * 8 + 6 * 64}


def test_enough_bits_give_the_weights_back():
    grid = jnp.arange(-127.0, 128.0).reshape(17, 15) / 64
    np.testing.assert_array_equal(
        core.materialize(core.compress({"k": grid}, {"k": quant.rtn(8, granularity="tensor")}))["k"], grid
    )


def test_gradient_is_straight_through(params):
    compression = quant.rtn(2)
    grads = jax.grad(lambda p: jnp.sum(compression.view(p, ())["a"]["kernel"]))(params)
    np.testing.assert_array_equal(grads["a"]["kernel"], 1.0)


def test_static_activations_use_statistics(key):
    params = {"kernel": jax.random.normal(key, (16, 6))}
    x = 3.0 * jax.random.normal(key, (32, 16))
    _, stats = observe(lambda p, x: x @ p["kernel"])(params, x)
    node = core.compress(params, {"kernel": quant.rtn(8, activation="static")}, stats)["kernel"]
    assert node.activation == "static"
    assert float(node.activation_scale) == pytest.approx(float(jnp.max(jnp.abs(x))) / 127, rel=1e-6)
    with pytest.raises(ValueError, match=r"absent for \['kernel'\]"):
        core.compress(params, {"kernel": quant.rtn(8, activation="static")})
    _, unseen = observe(lambda p, x: x @ p["kernel"])(params, 0 * x)
    with pytest.raises(ValueError, match="kernel  only zeros reached it while observing"):
        core.compress(params, {"kernel": quant.rtn(8, activation="static")}, unseen)
    compression = quant.rtn(8, activation="static")
    with pytest.raises(ValueError, match="'kernel': static activations need statistics of observe"):
        compression.encode(params, compression.init(params))


def test_rows_of_an_embedding(key):
    table = jax.random.normal(key, (10, 4)) * jnp.arange(1.0, 11.0)[:, None]
    node = core.compress({"table": table}, {"table": quant.rtn(8, axis=0)})["table"]
    assert node.scale.shape == (10, 1)
    assert node.codes.shape == (10, 4)


def test_centroids_on_an_integer_grid(key):
    codes = jax.random.randint(key, (6, 5), 0, 16).astype(jnp.uint8)
    centroids = jnp.linspace(-1.0, 1.0, 16)
    mask = codes > 3
    tree = {"kernel": Masked(Codebook(centroids, codes), mask)}
    node = core.compress(tree, {".*/centroids": quant.rtn(8, granularity="tensor")})["kernel"]
    assert isinstance(node.value.centroids, Quantized)
    assert node.value.centroids.codes.shape == (16,)
    want = np.where(mask, np.asarray(centroids)[np.asarray(codes)], 0)
    np.testing.assert_allclose(node.materialize(), want, atol=1 / 127)
    assert np.max(np.abs(node.materialize() - want)) > 0


def test_a_group_that_does_not_divide_names_the_leaf(params):
    with pytest.raises(ValueError, match="'a/kernel' fits:\n  a/kernel  group size 5 does not divide the 16 inp"):
        core.compress(params, {"a/kernel": quant.rtn(4, granularity=5)})
