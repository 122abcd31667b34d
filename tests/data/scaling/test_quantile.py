"""The quantile scaler against scikit-learn."""

import jax
import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from compressjax import data
from tests.data import laws


@pytest.mark.parametrize("output", ["uniform", "normal"])
def test_it_is_that_of_scikit_learn(output):
    rows = np.concatenate([laws.digits()[:100, 18:22], np.full((100, 1), 3.0)], 1).astype(np.float32)
    rows[:, 3] += np.linspace(0, 1, 100)  # one without ties
    wide = rows.astype(np.float64)
    fitted = data.fit(data.quantile_scaler(20, output=output, size=128), rows)
    reference = QuantileTransformer(n_quantiles=20, output_distribution=output, subsample=None).fit(wide)
    want = reference.transform(wide)
    found = jax.jit(lambda f, x: f.transform(x))(fitted, rows)
    np.testing.assert_allclose(found[:, :4], want[:, :4], atol=1e-4)
    assert len(set(np.asarray(found[:, 4]).tolist())) == 1
    back = jax.jit(lambda f, z: f.inverse_transform(z))(fitted, found)
    np.testing.assert_allclose(back[:, 3], reference.inverse_transform(want)[:, 3], atol=1e-3)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="points=1"):
        data.quantile_scaler(1)
    with pytest.raises(ValueError, match="output='exponential'"):
        data.quantile_scaler(output="exponential")
