"""Minimal redundancy and maximal relevance against brute force with scikit-learn's information."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from compressjax import data
from tests.data import laws


@pytest.mark.parametrize("scheme", [pytest.param("difference", marks=pytest.mark.thorough), "quotient"])
def test_the_order_is_that_of_brute_force(scheme):
    x, y = laws.digits_and_labels()
    x = x[:, [10, 18, 21, 26, 33, 34, 42, 43]] // 6
    reducer = data.select_mrmr(5, 10, bins=3, scheme=scheme)
    fitted = laws.check_pairs(reducer, x, y) if scheme == "quotient" else data.fit(reducer, (x, y))
    relevance = [mutual_info_score(column, y) for column in x.T]
    order = [int(np.argmax(relevance))]
    while len(order) < 5:
        worth = {}
        for j in set(range(8)) - set(order):
            shared = np.mean([mutual_info_score(x[:, j], x[:, t]) for t in order])
            worth[j] = relevance[j] - shared if scheme == "difference" else relevance[j] / shared
        order.append(max(worth, key=worth.get))
    assert np.argsort(-np.asarray(fitted.scores), kind="stable")[:5].tolist() == order
    assert fitted.places.tolist() == sorted(order)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="scheme='both'"):
        data.select_mrmr(1, 2, scheme="both")
    with pytest.raises(ValueError, match="k=3 must be at least 1 and at most the 2 features"):
        data.fit(data.select_mrmr(3, 2), (np.zeros((2, 2)), [0, 1]))
