"""Training of a generator against a discriminator, on distributions that are known."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, generate


class Plane(nn.Module):
    """Noise times a matrix, plus a vector."""

    @nn.compact
    def __call__(self, noise, train=False):
        return nn.Dense(2)(noise)


class Judge(nn.Module):
    """A small dense network."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.leaky_relu(nn.Dense(16)(x), 0.2))[:, 0]


@pytest.mark.thorough
@pytest.mark.parametrize("loss", ["hinge", "non-saturating", "wasserstein"])
def test_a_plane_finds_the_mean_and_spread_of_a_gaussian(loss):
    rates = optax.adam(1e-2, 0.5, 0.9), optax.adam(2e-2, 0.5, 0.9)
    parts = generate.gan(Plane(), Judge(), loss=loss, latent=2, decay=0.99, optimizers=rates, divide=None)
    center = jnp.array([[0.4, -0.3]])
    real = center + 0.15 * jax.random.normal(jax.random.key(0), (256, 2))

    def step(state, key):
        rows = jax.random.randint(key, (64,), 0, len(real))
        return parts.step(state, real[rows], None, key)

    state = parts.init(jax.random.key(1), jnp.clip(real[:64], -1, 1))
    steps = 3000 if loss == "wasserstein" else 1200  # its generator moves in every fifth
    state, _ = jax.jit(lambda s: jax.lax.scan(step, s, jax.random.split(jax.random.key(2), steps)))(state)
    made = parts.sample(state, jax.random.key(3), 2000)
    np.testing.assert_allclose(made.mean(0, keepdims=True), center, atol=0.1)
    assert 0.05 < float(made.std(0).mean()) < 0.25  # about 0.7 in the beginning, 0 when it collapses


@pytest.mark.thorough
def test_one_step_is_what_the_paper_says():
    """Discriminator first, then the generator against the new discriminator; the average follows the generator."""
    rates = optax.sgd(0.1), optax.sgd(0.2)
    parts = generate.gan(Plane(), Judge(), loss="non-saturating", latent=2, optimizers=rates, divide=None)
    real, key = jnp.full((4, 2), 0.5), jax.random.key(5)
    state = parts.init(jax.random.key(1), real)
    after, values = parts.step(state, real, None, key)
    keys, losses = jax.random.split(key, 3), generate.adversarial("non-saturating")
    fake = Plane().apply(state.generator, jax.random.normal(keys[0], (4, 2)))
    value, slopes = jax.value_and_grad(lambda v: losses.discriminator(Judge().apply(v, real), Judge().apply(v, fake)))(
        state.discriminator
    )
    judge = jax.tree.map(lambda x, g: x - 0.2 * g, state.discriminator, slopes)
    noise = jax.random.normal(keys[2], (4, 2))
    slopes = jax.grad(lambda v: losses.generator(Judge().apply(judge, Plane().apply(v, noise))))(state.generator)
    made = jax.tree.map(lambda x, g: x - 0.1 * g, state.generator, slopes)
    for got, exact in ((after.discriminator, judge), (after.generator, made)):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7), got, exact)
    assert values["discriminator"] == pytest.approx(float(value), rel=1e-5)
    average = jax.tree.map(lambda x, y: 0.1 * x + 0.9 * y, state.average, made["params"])  # (1 + 0) / (10 + 0)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7), after.average, average)


@pytest.mark.thorough
def test_images_with_labels_statistics_and_spectral_norms():
    made, judge = generate.DCGANGenerator(4, width=2, classes=3), generate.DCGANDiscriminator(2, classes=3)
    parts = generate.gan(made, judge, latent=3)
    images, labels = jnp.zeros((3, 4, 4, 1)), jnp.arange(3)
    state = parts.init(jax.random.key(0), images, labels)
    after, _ = jax.jit(parts.step)(state, images, labels, jax.random.key(1))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert not np.array_equal(after.norms.vectors["head/kernel"], state.norms.vectors["head/kernel"])
    moved = after.generator["batch_stats"]["norm_0"]["mean"] - state.generator["batch_stats"]["norm_0"]["mean"]
    assert np.abs(moved).max() > 0
    assert parts.sample(after, jax.random.key(2), 3, labels).shape == images.shape


@pytest.mark.parametrize(
    ("given", "divided"),
    [({}, 2), ({"penalty": 1.0}, 0), ({"penalty": 1.0, "divide": ".*Dense_1/kernel"}, 1), ({"divide": None}, 0),
     ({"loss": "wasserstein"}, 0), ({"loss": "wasserstein", "divide": core.kernels}, 2), ({"penalty": 0.0}, 2)],
)  # fmt: skip
def test_kernels_are_divided_as_asked_beside_a_penalty_too(given, divided):
    state = jax.eval_shape(generate.gan(Plane(), Judge(), latent=2, **given).init, jax.random.key(0), jnp.zeros((2, 2)))
    assert (0 if state.norms is None else len(state.norms.vectors)) == divided


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="every=0 must be at least 1"):
        generate.gan(Plane(), Judge(), every=0)
    with pytest.raises(ValueError, match=r"decay=1.0 in \[0, 1\)"):
        generate.gan(Plane(), Judge(), decay=1.0)
    with pytest.raises(ValueError, match=r"\[0, 255\].*scale them to \[-1, 1\]"):
        generate.gan(Plane(), Judge(), latent=2).init(jax.random.key(0), jnp.array([[0.0], [255.0]]))
