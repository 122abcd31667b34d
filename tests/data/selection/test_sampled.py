"""Scores of a user's own on a sample."""

import numpy as np

from compressjax import data
from compressjax.data.selection._sampled import by_sample


def test_the_score_sees_rows_with_their_labels():
    reducer = by_sample("mine", 1, 8, None, data.Reads("numbers"), lambda x, y: np.abs(x - y[:, None]).sum(0))
    rows = np.stack([np.arange(6.0), np.arange(6.0) + 1], 1)
    fitted = data.fit(reducer, [(rows[:2], [0.0, 1.0]), (rows[2:], [2.0, 3.0, 4.0, 5.0])])
    assert fitted.scores.tolist() == [0, 6]
    assert reducer.name == "mine(1)"
