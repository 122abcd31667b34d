"""Inputs made from what normalization layers remember."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import generate


class Normed(nn.Module):
    """Two dense layers with BatchNorm."""

    @nn.compact
    def __call__(self, x, train=False):
        for i in range(2):
            x = nn.Dense(4, name=f"dense_{i}")(x)
            x = nn.tanh(nn.BatchNorm(use_running_average=not train, momentum=0.0, name=f"norm_{i}")(x))
        return x


def trained():
    model, data = Normed(), 1.5 + 0.5 * jax.random.normal(jax.random.key(0), (512, 3))
    variables = model.init(jax.random.key(1), data)
    _, new = model.apply(variables, data, True, mutable=["batch_stats"])
    return model, {**variables, **new}, data


def test_moments_are_those_of_what_each_layer_reads():
    model, variables, data = trained()
    found = generate.norm_moments(model, variables, data)
    assert set(found) == {"norm_0", "norm_1"}
    read = data @ variables["params"]["dense_0"]["kernel"]
    np.testing.assert_allclose(found["norm_0"][0].mean, read.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["norm_0"][0].variance, read.var(0), rtol=1e-4)
    # The layers remember exactly this batch.
    assert float(generate.moment_loss(found)) < 1e-3


class Channels(nn.Module):
    """Channels first, called by names, one layer twice, and a mask."""

    @nn.compact
    def __call__(self, x, *, train):
        norm = nn.BatchNorm(axis=1, name="norm")
        x = norm(norm(x, use_running_average=not train), use_running_average=not train)
        both = nn.BatchNorm(use_running_average=not train, axis=(1, -1), name="both")
        return both(x=x, mask=jnp.arange(4)[:, None, None] < 3)


def test_axes_masks_names_and_calls_are_those_of_the_layer():
    x = np.random.default_rng(0).normal(2, 3, (4, 3, 5)).astype(np.float32)
    variables = Channels().init(jax.random.key(0), x, train=False)
    found = generate.norm_moments(Channels(), variables, x, train=False)
    assert set(found) == {"norm", "norm#1", "both"}
    scale = 1 / np.sqrt(1 + 1e-5)  # of a layer that remembers mean 0 and variance 1
    for name, read, axes in (("norm", x, (0, 2)), ("norm#1", x * scale, (0, 2)), ("both", x[:3] * scale**2, (0,))):
        np.testing.assert_allclose(found[name][0].mean, read.mean(axes), rtol=1e-4)
        np.testing.assert_allclose(found[name][0].variance, read.var(axes), rtol=1e-4)
        assert found[name][1].mean.shape == found[name][0].mean.shape
    with pytest.raises(ValueError, match="no batch_stats of 'norm'"):
        generate.norm_moments(Channels(), {"params": variables["params"]}, x, train=False)


def test_noise_moves_to_the_moments_of_the_data():
    model, variables, data = trained()

    def loss(x):
        return generate.moment_loss(generate.norm_moments(model, variables, x))

    start = jax.random.normal(jax.random.key(2), (256, 3))
    made, losses = generate.invert(loss, start, steps=200, rate=0.05, low=-4, high=4)
    assert losses[-1] < 0.05 * losses[0]
    np.testing.assert_allclose(made.mean(0), data.mean(0), atol=0.15)


def test_variation_is_that_of_neighbors_and_bounds_hold():
    images = jax.random.normal(jax.random.key(0), (2, 3, 4, 1))
    exact = np.mean(np.diff(images, axis=1) ** 2) + np.mean(np.diff(images, axis=2) ** 2)
    np.testing.assert_allclose(generate.total_variation(images), exact, rtol=1e-5)
    x, _ = generate.invert(lambda x: -jnp.sum(x), jnp.zeros(3), steps=50, rate=0.5, high=1.0)
    np.testing.assert_array_equal(x, jnp.ones(3))


def test_bad_arguments_are_named():
    layer = nn.Dense(2)
    x = jnp.ones((2, 2))
    with pytest.raises(ValueError, match=r"Dense has no nn.BatchNorm"):
        generate.norm_moments(layer, layer.init(jax.random.key(0), x), x)
    with pytest.raises(ValueError, match="steps=0"):
        generate.invert(jnp.sum, x, steps=0)
    with pytest.raises(ValueError, match="low=1"):
        generate.invert(jnp.sum, x, low=1.0, high=0.0)
    with pytest.raises(ValueError, match="no moments"):
        generate.moment_loss({})
    with pytest.raises(ValueError, match=r"\(2, 2\) must be \[batch, height"):
        generate.total_variation(x)
