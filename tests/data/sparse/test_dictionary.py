"""Dictionaries in passes and online, against scikit-learn's objective; batches matter by rounding only."""

import numpy as np
import pytest
from sklearn.decomposition import DictionaryLearning

from compressjax import data
from tests.data import laws

ROWS = laws.digits()[:150, 16:32] / 16


def objective(atoms, codes, penalty):
    codes = np.asarray(codes)
    return 0.5 * np.sum((ROWS - codes @ np.asarray(atoms)) ** 2) + penalty * np.abs(codes).sum()


@pytest.mark.thorough
def test_passes_reach_the_objective_of_scikit_learn(key):
    reducer = data.dictionary_learning(8, key, penalty=0.2, passes=30, inner=30)
    fitted = laws.check(reducer, ROWS, 2e-3)
    same = {"alpha": 0.2, "transform_alpha": 0.2, "fit_algorithm": "cd", "transform_algorithm": "lasso_cd"}
    reference = DictionaryLearning(8, **same, max_iter=50, random_state=0).fit(ROWS.astype(np.float64))
    theirs = objective(reference.components_, reference.transform(ROWS.astype(np.float64)), 0.2)
    assert objective(fitted.atoms, fitted.transform(ROWS), 0.2) < 1.05 * theirs
    assert (np.linalg.norm(fitted.atoms, axis=1) <= 1 + 1e-5).all()
    assert (np.asarray(fitted.transform(ROWS)) == 0).mean() > 0.1


def test_online_is_near_the_passes(key):
    whole = data.fit(data.dictionary_learning(8, key, penalty=0.2, passes=30), ROWS)
    online = data.fit(data.online_dictionary(8, key, penalty=0.2, size=25), np.tile(ROWS, (8, 1)))
    values = [objective(found.atoms, found.transform(ROWS), 0.2) for found in (whole, online)]
    assert values[1] < 1.1 * values[0]


def test_bad_arguments_are_named(key):
    with pytest.raises(ValueError, match="penalty=0 above 0"):
        data.dictionary_learning(4, key, penalty=0)
    with pytest.raises(ValueError, match="memory=2"):
        data.online_dictionary(4, key, memory=2)
