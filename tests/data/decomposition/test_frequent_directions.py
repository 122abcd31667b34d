"""The bound of Frequent Directions holds for every k, in any batches and merged."""

import numpy as np
import pytest

from compressjax import data
from tests.data import laws


@pytest.mark.turns(2)
@pytest.mark.parametrize("size", [10, 20])
def test_the_bound_holds_for_every_k(size):
    rows = laws.digits()[:600]
    squares = np.linalg.svd(rows, compute_uv=False) ** 2
    reducer = data.frequent_directions(size)
    batches = [rows[i : i + 50] for i in range(0, 600, 50)]
    for fitted in (data.fit(reducer, batches), laws.merged_passes(reducer, [rows[:150], rows[150:]])):
        gap = np.linalg.eigvalsh(rows.T @ rows - fitted.sketch.T @ fitted.sketch)
        slack = 1e-4 * squares[0]
        assert gap.min() > -slack  # squared lengths only shrink
        assert gap.max() < float(fitted.lost) + slack
        for k in range(size):
            assert gap.max() <= squares[k:].sum() / (size - k) + slack


@pytest.mark.thorough
@pytest.mark.parametrize(("size", "published"), [(10, 0.01889), (20, 0.00517), (30, 0.00203)])
def test_errors_of_the_digits_are_below_those_of_the_published_algorithm(size, published):
    rows = laws.digits()
    fitted = data.fit(data.frequent_directions(size), [rows[i : i + size] for i in range(0, len(rows), size)])
    gap = rows.T @ rows - fitted.sketch.T @ fitted.sketch
    assert np.linalg.norm(gap, 2) < published * np.sum(rows**2)


def test_directions_of_few_rows_are_exact():
    rows = laws.digits()[:5]
    fitted = data.fit(data.frequent_directions(8, 5), rows)
    assert float(fitted.lost) == 0
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(rows)), rows, atol=0.1)
    matrix, _ = fitted.affine()
    np.testing.assert_allclose(rows @ matrix, fitted.transform(rows), rtol=1e-5)
    for size, k in ((1, None), (4, 5), (4, 0)):
        with pytest.raises(ValueError, match=f"size={size} must be at least 2"):
            data.frequent_directions(size, k)
