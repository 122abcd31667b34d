"""FISTA and ISTA against coordinate descent of scikit-learn, and their published bounds."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from compressjax import data


def objective(atoms, x, codes, penalty):
    return 0.5 * np.sum((x - codes @ atoms) ** 2) + penalty * np.abs(codes).sum()


@pytest.mark.parametrize("positive", [False, True])
def test_codes_are_those_of_scikit_learn(positive, draw):
    atoms, x = draw.normal(size=(9, 6)), draw.normal(size=(4, 6))
    codes = data.fista(atoms, x, 0.7, steps=800, positive=positive)
    reference = Lasso(0.7 / 6, fit_intercept=False, tol=1e-12, max_iter=100_000, positive=positive)
    np.testing.assert_allclose(codes, [reference.fit(atoms.T, row).coef_ for row in x], atol=1e-4)


def test_errors_keep_the_bounds(draw):
    atoms, x = draw.normal(size=(9, 6)), draw.normal(size=(1, 6))
    best = np.asarray(data.fista(atoms, x, 0.3, steps=5000), np.float64)
    slope, start = np.linalg.eigvalsh(atoms @ atoms.T)[-1], np.sum(best**2)
    for steps in (5, 40):
        gaps = [
            objective(atoms, x, np.asarray(method(atoms, x, 0.3, steps=steps), np.float64), 0.3)
            - objective(atoms, x, best, 0.3)
            for method in (data.fista, data.ista)
        ]
        assert -1e-5 < gaps[0] <= 2 * slope * start / (steps + 1) ** 2
        assert -1e-5 < gaps[1] <= slope * start / (2 * steps)
    assert gaps[0] < gaps[1]
    with pytest.raises(ValueError, match="penalty=-1 must be at least 0"):
        data.ista(atoms, x, -1)
