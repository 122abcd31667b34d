"""Projections: there and back."""

import numpy as np

from compressjax import data
from tests.data import laws


def test_back_and_forth_is_a_projection():
    rows = laws.digits()[:200]
    for whiten in (False, True):
        fitted = data.fit(data.pca(7, whiten=whiten), rows)
        np.testing.assert_allclose(fitted.components @ fitted.components.T, np.eye(7), atol=1e-5)
        once = fitted.inverse_transform(fitted.transform(rows))
        laws.assert_close(fitted.inverse_transform(fitted.transform(once)), once, 1e-5)
        if whiten:
            np.testing.assert_allclose(np.std(fitted.transform(rows), 0, ddof=1), 1, rtol=1e-3)
