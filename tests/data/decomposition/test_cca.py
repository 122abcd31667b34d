"""Canonical correlations against a planted model and scikit-learn."""

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA

from compressjax import data
from tests.data import laws


def test_it_is_that_of_scikit_learn(draw):
    shared = draw.normal(size=(300, 2))
    x = shared @ draw.normal(size=(2, 5)) + draw.normal(size=(300, 5))
    y = shared @ draw.normal(size=(2, 4)) + draw.normal(size=(300, 4))
    joint = np.concatenate([x, y], 1).astype(np.float32)
    fitted = laws.check(data.cca(2, split=5, ridge=1e-7), joint, 1e-3)
    sides = CCA(2, tol=1e-12, max_iter=5000).fit_transform(x, y)
    theirs = [np.corrcoef(a, b)[0, 1] for a, b in zip(*(side.T for side in sides))]
    np.testing.assert_allclose(fitted.correlations, theirs, atol=1e-4)
    scores = np.asarray(fitted.transform(joint))
    crossed = np.diag(np.tile(theirs, 2))[:, [2, 3, 0, 1]]
    np.testing.assert_allclose(np.corrcoef(scores, rowvar=False), np.eye(4) + crossed, atol=1e-3)
    np.testing.assert_allclose(scores.var(0, ddof=1), 1, rtol=1e-3)
    matrix, offset = fitted.affine()
    laws.assert_close(joint @ matrix + offset[None], scores, 1e-4)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="components=3 must be at least 1 and at most split=2"):
        data.cca(3, 2)
    with pytest.raises(ValueError, match="cca: 3 features with split=2 leave 1 to the second modality; components=2"):
        data.fit(data.cca(2, 2), np.ones((5, 3)))
