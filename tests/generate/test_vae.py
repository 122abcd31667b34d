"""The bound of the autoencoder against Monte Carlo and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import generate


def test_the_loss_is_the_bound():
    keys = jax.random.split(jax.random.key(0), 4)
    logits, images = jax.random.normal(keys[0], (3, 2, 2, 1)), jax.random.uniform(keys[1], (3, 2, 2, 1))
    mean, log_variance = jax.random.normal(keys[2], (3, 5)), 0.3 * jax.random.normal(keys[3], (3, 5))
    p = jax.nn.sigmoid(logits)
    pixels = -(images * jnp.log(p) + (1 - images) * jnp.log(1 - p)).sum((1, 2, 3))
    draws = mean[None] + jnp.exp(log_variance / 2)[None] * jax.random.normal(jax.random.key(9), (40_000, 3, 5))
    log_q = -0.5 * ((draws - mean[None]) ** 2 / jnp.exp(log_variance)[None] + log_variance[None])
    divergence = (log_q + 0.5 * draws**2).sum(-1).mean(0)
    traced = jax.jit(lambda beta: generate.vae_loss(logits, images, mean, log_variance, beta=beta))
    for beta in (0.0, 1.0, 4.0):
        got = generate.vae_loss(logits, images, mean, log_variance, beta=beta)
        np.testing.assert_allclose(traced(beta), got, rtol=1e-6)
        np.testing.assert_allclose(got, (pixels + beta * divergence).mean(), rtol=0.02)


def test_the_loss_is_that_of_float32_from_bfloat16():
    keys = jax.random.split(jax.random.key(1), 3)
    mean, log_variance = (jax.random.normal(k, (4, 64)).astype(jnp.bfloat16) for k in keys[:2])
    pixels = jnp.zeros((4, 2), jnp.bfloat16)
    got = generate.vae_loss(pixels, pixels, mean, log_variance)
    exact = generate.vae_loss(*(x.astype(jnp.float32) for x in (pixels, pixels, mean, log_variance)))
    np.testing.assert_allclose(got, exact, rtol=1e-6)


def test_the_model_reads_labels_and_reconstructs_what_codes_say():
    model = generate.VAE((2, 2, 1), latent=3, width=6, classes=2)
    images, labels = jnp.ones((2, 2, 2, 1)), jnp.array([0, 1])
    variables = model.init(jax.random.key(0), images, jax.random.key(1), labels)
    logits, mean, log_variance = model.apply(variables, images, jax.random.key(1), labels)
    code = mean + jnp.exp(log_variance / 2) * jax.random.normal(jax.random.key(1), mean.shape)
    np.testing.assert_allclose(logits, model.apply(variables, code, labels, method="decode"), rtol=1e-5)
    np.testing.assert_allclose(mean[0], mean[1], rtol=1e-5)  # the encoder reads no labels
    other = model.apply(variables, code, labels[::-1], method="decode")
    assert not np.allclose(logits, other)
    with pytest.raises(ValueError, match="VAE: classes=2 and no labels"):
        model.apply(variables, images, jax.random.key(1))


def test_bad_arguments_are_named():
    zero = jnp.zeros((2, 2))
    with pytest.raises(ValueError, match="beta=-1"):
        generate.vae_loss(zero, zero, zero, zero, beta=-1)
    with pytest.raises(ValueError, match=r"images \(2, 3\)"):
        generate.vae_loss(zero, jnp.zeros((2, 3)), zero, zero)
