"""A folded reducer gives the same function of raw features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from tests.data import laws

ROWS = laws.digits()[:300]


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    "reducer",
    [data.standard_scaler(), data.min_max_scaler(-1, 1), data.pca(10), data.pca(10, whiten=True),
     data.random_projection(10, jax.random.key(0)), data.select_variance(k=10)],
    ids=lambda reducer: reducer.name,
)  # fmt: skip
@pytest.mark.parametrize("stored", ["[in, out]", "[out, in]"])
def test_a_folded_model_reads_raw_features(reducer, stored):
    fitted = data.fit(reducer, ROWS)
    z = fitted.transform(ROWS)
    kernel, bias = jax.random.normal(jax.random.key(1), (z.shape[1], 3)), jnp.arange(3.0)
    params = {"layer": {"kernel": kernel if stored == "[in, out]" else kernel.T, "bias": bias}}
    folded = data.fold(fitted, params, "layer/kernel", "layer/bias", layout=stored)["layer"]
    inside = folded["kernel"] if stored == "[in, out]" else folded["kernel"].T
    assert inside.shape == (64, 3)
    laws.assert_close(ROWS @ inside + folded["bias"][None], z @ kernel + bias[None], 1e-4)
    matrix, offset = fitted.affine()
    laws.assert_close(ROWS @ matrix + offset[None], z, 1e-4)


def test_what_cannot_be_folded_is_named():
    fitted = data.fit(data.pca(2), ROWS)
    params = {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)}
    with pytest.raises(ValueError, match=r"'kernel' of shape \(3, 2\) must be a matrix with 2 inputs"):
        data.fold(fitted, params, "kernel", "bias")
    with pytest.raises(ValueError, match="'b' is not in the tree"):
        data.fold(fitted, params, "kernel", "b")
    with pytest.raises(ValueError, match="ufunc is not linear"):
        data.fold(np.tanh, params, "kernel", "bias")
