"""The F statistic against scikit-learn on three sets."""

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.feature_selection import f_classif

from compressjax import data
from tests.data import laws


@pytest.mark.parametrize(
    "load", [load_iris, *(pytest.param(x, marks=pytest.mark.thorough) for x in (laws.digits_and_labels, load_wine))]
)
def test_it_is_that_of_scikit_learn(load):
    found = load()
    x, y = found if isinstance(found, tuple) else (found.data.astype(np.float32), found.target)
    x = x[:, x.std(0) > 0]
    reducer = data.select_anova(3, int(y.max()) + 1)
    fitted = laws.check_pairs(reducer, x, y, 1e-3) if load is load_iris else data.fit(reducer, (x, y))
    want = f_classif(x.astype(np.float64), y)[0]
    np.testing.assert_allclose(fitted.scores, want, rtol=1e-3)
    np.testing.assert_array_equal(fitted.places, np.sort(np.argsort(-want, kind="stable")[:3]))


def test_constant_features_and_absent_classes():
    x = np.array([[5.0, 0.0, 1.0], [5.0, 0.0, 2.0], [5.0, 1.0, 1.0], [5.0, 1.0, 2.0]])
    assert data.fit(data.select_anova(1, 4), (x, [0, 0, 3, 3])).scores.tolist() == [0, np.inf, 0]
