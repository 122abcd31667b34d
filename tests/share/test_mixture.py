"""Soft weight sharing: densities against SciPy, what a step does, and the codebook that follows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from compressjax import share
from compressjax.core import compress

KERNEL = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
PARAMS = {"kernel": jnp.asarray(KERNEL), "bias": jnp.ones(3)}


def densities(x, prior):
    means = [0, *np.asarray(prior.means)]
    odds = np.exp(np.asarray(prior.logits))
    shares = [float(prior.zero_share), *(1 - float(prior.zero_share)) * odds / odds.sum()]
    deviations = np.exp(np.asarray(prior.log_deviations))
    return np.stack([p * scipy.stats.norm.pdf(x, m, s) for p, m, s in zip(shares, means, deviations, strict=True)], -1)


def test_the_penalty_is_the_likelihood_of_scipy_and_trains_both():
    prior = share.mixture(PARAMS, 4, zero_share=0.6)._replace(logits=jnp.array([0.3, -0.2, 0.0]))
    value, (weights, mixture) = jax.jit(jax.value_and_grad(share.mixture_penalty, argnums=(0, 1)))(PARAMS, prior)
    assert float(value) == pytest.approx(-np.log(densities(KERNEL, prior).sum(-1)).sum(), rel=1e-5)
    assert not weights["bias"].any()
    assert weights["kernel"].all()
    assert float(mixture.zero_share) == 0
    assert np.abs(mixture.means).min() > 0


def test_weights_move_to_the_likeliest_component():
    prior = share.mixture(PARAMS, 4, zero_share=0.6)
    node = compress(PARAMS, {"kernel": share.from_mixture(prior)})["kernel"]
    means = np.array([0, *np.asarray(prior.means)])
    np.testing.assert_allclose(node.materialize(), means[densities(KERNEL, prior).argmax(-1)], rtol=1e-6)
    assert np.all(np.diff(node.centroids) >= 0)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="components=2"):
        share.mixture(PARAMS, 2)
    with pytest.raises(ValueError, match="zero_share=1"):
        share.mixture(PARAMS, zero_share=1.0)
    with pytest.raises(ValueError, match="selects no weights"):
        share.mixture({"bias": jnp.ones(3)})
    with pytest.raises(ValueError, match="floor=0"):
        share.mixture_penalty(PARAMS, share.mixture(PARAMS), floor=0.0)
