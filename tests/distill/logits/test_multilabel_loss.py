"""Class by class against NumPy and optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

from compressjax import distill


def test_value(key: jax.Array) -> None:
    z, v, y = (jax.random.normal(k, (3, 4)) for k in jax.random.split(key, 3))
    labels = (y > 0).astype(jnp.float32)
    p, q = (scipy.special.expit(np.asarray(x, np.float64) / 2) for x in (v, z))
    soft = 4 * (scipy.special.rel_entr(p, q) + scipy.special.rel_entr(1 - p, 1 - q)).sum(-1).mean()
    np.testing.assert_allclose(distill.multilabel_loss(z, v, temperature=2.0), soft, rtol=1e-5)
    hard = optax.sigmoid_binary_cross_entropy(z, labels).sum(-1).mean()
    got = distill.multilabel_loss(z, v, labels, temperature=2.0, alpha=0.25)
    np.testing.assert_allclose(got, 0.25 * soft + 0.75 * hard, rtol=1e-5)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"labels \(3,\) must be \(3, 4\)"):
        distill.multilabel_loss(jnp.zeros((3, 4)), jnp.zeros((3, 4)), jnp.zeros(3))
    with pytest.raises(ValueError, match="alpha=-1"):
        distill.multilabel_loss(jnp.zeros((3, 4)), jnp.zeros((3, 4)), alpha=-1)
