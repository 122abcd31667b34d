"""Losses of generators and discriminators against closed forms, and their optima."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import generate

REAL, FAKE = jnp.array([2.0, 0.5, -1.0]), jnp.array([-3.0, 0.25])


@pytest.mark.parametrize(
    ("kind", "judge", "made"),
    [
        ("hinge", (0 + 0.5 + 2) / 3 + (0 + 1.25) / 2, -(-3 + 0.25) / 2),
        ("non-saturating", np.log1p(np.exp([-2, -0.5, 1])).mean() + np.log1p(np.exp([-3, 0.25])).mean(),
         np.log1p(np.exp([3, -0.25])).mean()),
        ("wasserstein", -2.75 / 2 - 0.5, 2.75 / 2),
    ],
)  # fmt: skip
def test_losses_are_those_of_the_papers(kind, judge, made):
    losses = generate.adversarial(kind)
    np.testing.assert_allclose(losses.discriminator(REAL, FAKE), judge, rtol=1e-6)
    np.testing.assert_allclose(losses.generator(FAKE), made, rtol=1e-6)
    assert losses.discriminator(REAL.astype(jnp.bfloat16), FAKE.astype(jnp.bfloat16)).dtype == jnp.float32
    large = jnp.array([1e4, -1e4], jnp.bfloat16)
    assert np.isfinite(jax.grad(lambda x: losses.generator(x) + losses.discriminator(x, x))(large)).all()


def test_the_best_discriminator_knows_the_ratio_of_densities():
    """With p = (0.8, 0.2) real and (0.4, 0.6) generated, the logit of the non-saturating loss is log(p / q)."""
    p, q = jnp.array([0.8, 0.2]), jnp.array([0.4, 0.6])
    loss = generate.adversarial("non-saturating").discriminator

    def expected(logits):
        return sum(p[i] * loss(logits[i], jnp.array(-1e9)) + q[i] * loss(jnp.array(1e9), logits[i]) for i in range(2))

    logits = jnp.zeros(2)
    for _ in range(2000):
        logits -= 0.5 * (jax.nn.sigmoid(logits) * (p + q) - p)  # the slope, by hand
    np.testing.assert_allclose(logits, jnp.log(p / q), rtol=1e-4)
    np.testing.assert_allclose(jax.grad(expected)(logits), 0, atol=1e-5)


def test_the_penalty_is_that_of_slopes_between_the_samples():
    kernel = jnp.array([3.0, 4.0])
    real, fake, key = jnp.ones((6, 2)), jnp.zeros((6, 2)), jax.random.key(0)
    assert generate.gradient_penalty(lambda x: x @ kernel, real, fake, key) == pytest.approx(16.0)
    share = jax.random.uniform(key, (6, 1))
    slopes = 2 * np.linalg.norm(share * real, axis=1)  # of the sum of squares, at share * real
    got = generate.gradient_penalty(lambda x: jnp.sum(x**2, -1), real, fake, key)
    np.testing.assert_allclose(got, np.mean((slopes - 1) ** 2), rtol=1e-5)
    flat = jax.grad(lambda w: generate.gradient_penalty(lambda x: x @ w, real, fake, key))(jnp.zeros(2))
    assert np.isfinite(flat).all()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="'ns' is unknown; choose one of hinge"):
        generate.adversarial("ns")
    with pytest.raises(ValueError, match=r"\(2, 1\) and generated ones \(3, 1\)"):
        generate.gradient_penalty(lambda x: x[:, 0], jnp.ones((2, 1)), jnp.ones((3, 1)), jax.random.key(0))
