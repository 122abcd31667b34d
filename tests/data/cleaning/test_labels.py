"""Confident learning: the definition by loops, and planted errors among digits."""

import jax
import numpy as np
import pytest

from compressjax import data
from tests.data import laws


def test_it_is_the_definition(draw):
    p = draw.dirichlet(np.ones(3) / 2, 40)
    y = draw.integers(0, 3, 40)
    limits = [np.mean([p[i, c] for i in range(40) if y[i] == c]) for c in range(3)]
    want = []
    for i in range(40):
        reached = [c for c in range(3) if p[i, c] >= limits[c]]
        if reached and max(reached, key=lambda c: p[i, c]) != y[i]:
            want.append(i)
    assert [f.row for f in data.find_label_errors(y, p).findings] == want
    assert want
    lead = [i for i in range(40) if max(p[i]) - p[i, y[i]] >= 0.5]
    assert [f.row for f in data.find_label_errors(y, p, margin=0.5).findings] == lead
    assert lead
    assert lead != want
    with pytest.raises(ValueError, match=r"margin=0 must be in \(0, 1\]"):
        data.find_label_errors(y, p, margin=0)


@pytest.mark.parametrize("rows", [480, pytest.param(1797, marks=pytest.mark.thorough)])
def test_planted_errors_are_found(rows, draw, key):
    x, y = laws.digits_and_labels()
    x, y = x[:rows], y[:rows].copy()
    wrong = draw.choice(rows, rows // 20, replace=False)
    y[wrong] = (y[wrong] + draw.integers(1, 10, len(wrong))) % 10
    probabilities = data.cross_validated(x, y, 10, key, folds=3 if rows == 480 else 5)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    found = {f.row for f in data.find_label_errors(y, probabilities).findings}
    hits = len(found & set(wrong.tolist()))
    assert hits >= (0.7 if rows == 480 else 0.8) * len(wrong)
    assert hits >= 0.6 * len(found)


def test_models_of_a_user_and_bad_arguments():
    seen = []

    def fit_predict(x, y, new):
        seen.append((len(x), len(new)))
        return np.full((len(new), 2), 0.5)

    data.cross_validated(
        np.arange(5.0)[:, None], [0, 1, 0, 1, 0], 2, jax.random.key(0), folds=2, fit_predict=fit_predict
    )
    assert seen == [(2, 3), (3, 2)]
    for labels, p, said in [
        ([0, 2], [[0.5, 0.5]] * 2, "the label of row 1 is 2, none of 2 classes"),
        ([0, 1], [[0.5, 0.5], [1.5, 0.0]], "row 1, class 0 has probability 1.5"),
        ([0], [[0.5, 0.5]] * 2, r"labels int64\[1\] and probabilities \[2, 2\]"),
    ]:
        with pytest.raises(ValueError, match=said):
            data.find_label_errors(labels, p)
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) do not belong to 3 rows"):
        data.cross_validated(np.ones((3, 1)), [0, 1], 2, jax.random.key(0))
    with pytest.raises(ValueError, match="folds=4"):
        data.cross_validated(np.ones((3, 1)), [0, 1, 1], 2, jax.random.key(0), folds=4)
