"""Heads: shapes, variance, and what does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.distill.features._linear import init_linear, linear


def test_head(key: jax.Array) -> None:
    params = init_linear("f", key, 400, 30)
    assert float(jnp.var(params["kernel"])) == pytest.approx(1 / 400, rel=0.05)
    x = jax.random.normal(key, (2, 3, 400))
    want = np.asarray(x, np.float64) @ np.asarray(params["kernel"], np.float64) + 1
    np.testing.assert_allclose(linear("f", x, {**params, "bias": jnp.ones(30)}), want, atol=1e-4)
    assert linear("f", x.astype(jnp.bfloat16), {"kernel": params["kernel"]}).dtype == jnp.float32
    with pytest.raises(ValueError, match=r"f: features \(2, 3\) do not fit a head .*\(400, 30\); .* 3 features"):
        linear("f", jnp.ones((2, 3)), params)
    with pytest.raises(ValueError, match="f: teacher=0"):
        init_linear("f", key, 3, 0)
    with pytest.raises(ValueError, match=r"f: student is a float 3\.0"):
        init_linear("f", key, 3.0, 2)
