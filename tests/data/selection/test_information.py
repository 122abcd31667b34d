"""Information gain against golden values of scikit-learn, gain ratio against Quinlan's table of weather and tennis."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from compressjax import data
from tests.data import laws

# Outlook (sunny, overcast, rain), temperature (hot, mild, cool), humidity (high, normal), wind (weak, strong), play
TENNIS = np.array(
    [[0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [1, 0, 0, 0, 1], [2, 1, 0, 0, 1], [2, 2, 1, 0, 1], [2, 2, 1, 1, 0],
     [1, 2, 1, 1, 1], [0, 1, 0, 0, 0], [0, 2, 1, 0, 1], [2, 1, 1, 0, 1], [0, 1, 1, 1, 1], [1, 1, 0, 1, 1],
     [1, 0, 1, 0, 1], [2, 1, 0, 1, 0]]
)  # fmt: skip


def test_digits_have_the_golden_gains():
    x, y = laws.digits_and_labels()
    fitted = data.fit(data.select_information(5, 10, bins=17), (x, y))
    assert fitted.places.tolist() == [21, 26, 33, 34, 42]
    scores = np.asarray(fitted.scores)
    np.testing.assert_allclose(scores[[21, 34, 33, 26, 42]], [0.46335, 0.46325, 0.45432, 0.45297, 0.44261], atol=6e-6)


def test_gain_and_ratio_are_those_of_quinlan():
    x, y = TENNIS[:, :4], TENNIS[:, 4]
    gain = laws.check_pairs(data.select_information(2, 2, bins=3), x, y)
    np.testing.assert_allclose(gain.scores / np.log(2), [0.247, 0.029, 0.152, 0.048], atol=6e-4)
    np.testing.assert_allclose(gain.scores, [mutual_info_score(column, y) for column in x.T], atol=1e-6)
    ratio = data.fit(data.select_information(1, 2, bins=3, ratio=True), (x, y))
    np.testing.assert_allclose(ratio.scores, [0.1564, 0.0188, 0.1518, 0.0488], atol=6e-4)
    edges = data.fit(data.select_information(2, 2, edges=[0.5, 1.5]), (10 * (x - 0.5) + 1, y))
    want = [mutual_info_score(np.digitize(10 * (column - 0.5) + 1, [0.5, 1.5]), y) for column in x.T]
    np.testing.assert_allclose(edges.scores, want, atol=1e-6)


def test_values_outside_of_the_bins_are_named():
    with pytest.raises(ValueError, match=r"row 1, column 0 is 3, not in \[0, 2\]"):
        data.fit(data.select_information(1, 2, bins=3), (np.array([[1], [3]]), [0, 1]))
