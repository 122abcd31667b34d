"""The standard scaler against scikit-learn."""

import jax.numpy as jnp
import numpy as np
from sklearn.preprocessing import StandardScaler

from compressjax import data
from tests.data import laws


def test_it_is_that_of_scikit_learn():
    rows = 5 + 3 * laws.digits()
    fitted = laws.check(data.standard_scaler(), rows)
    reference = StandardScaler().fit(rows.astype(np.float64))
    np.testing.assert_allclose(fitted.shift, reference.mean_, rtol=1e-5)
    np.testing.assert_allclose(fitted.scale, reference.scale_, rtol=1e-4)
    np.testing.assert_allclose(fitted.transform(rows), reference.transform(rows), atol=2e-4)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(rows)), rows, atol=1e-3)
    assert float(fitted.reconstruction_error(rows)) < 1e-6


def test_constant_features_and_half_of_the_work():
    rows = np.array([[1e4, 1.0], [1e4, 3.0]] * 50, np.float32)
    assert data.fit(data.standard_scaler(), np.split(rows, 10)).scale.tolist() == [1.0, 1.0]
    assert data.fit(data.standard_scaler(mean=False), rows).shift.tolist() == [0.0, 0.0]
    assert data.fit(data.standard_scaler(deviation=False), 7 * rows).scale.tolist() == [1.0, 1.0]
    assert jnp.isfinite(data.fit(data.standard_scaler(), rows[:1]).transform(rows)).all()
