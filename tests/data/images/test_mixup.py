"""Mixup: the identity matrix tells partners and weights, and every other array is mixed by that matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from compressjax import data


@pytest.mark.thorough
def test_all_arrays_are_mixed_by_one_matrix(key: jax.Array) -> None:
    images = jax.random.normal(key, (7, 3, 2, 1))
    mixed = jax.jit(data.mixup)(key, {"how": jnp.eye(7), "images": images, "low": images.astype(jnp.bfloat16)})
    how = np.asarray(mixed["how"])
    np.testing.assert_allclose(how.sum(1), np.ones(7), rtol=1e-6)
    assert ((how > 0).sum(1) <= 2).all()
    np.testing.assert_allclose(mixed["images"], np.einsum("ij,jklm->iklm", how, images), rtol=1e-4, atol=1e-6)
    assert mixed["low"].dtype == jnp.bfloat16
    partners = how - np.diag(np.diag(how))
    assert ((partners > 0).sum(0) <= 1).all()  # a permutation: no example is the partner of two


@pytest.mark.thorough
def test_weights_are_drawn_from_the_beta_distribution(key: jax.Array) -> None:
    mixed = np.asarray(data.mixup(key, jnp.eye(600), alpha=0.4))
    own = np.diag(mixed)[np.diag(mixed) < 1]
    assert scipy.stats.kstest(own, scipy.stats.beta(0.4, 0.4).cdf).pvalue > 0.01


def test_bad_arguments(key: jax.Array) -> None:
    with pytest.raises(ValueError, match="over the same examples"):
        data.mixup(key, (jnp.ones(3), jnp.ones(4)))
    with pytest.raises(ValueError, match="int32 cannot be blended"):
        data.mixup(key, jnp.arange(3))
    with pytest.raises(ValueError, match="alpha=0"):
        data.mixup(key, jnp.ones(3), alpha=0)
