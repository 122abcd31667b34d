"""The distance correlation against its definition by loops, and against the closed form of a normal pair."""

import numpy as np
import pytest

from compressjax import data
from compressjax.data.selection._distance_correlation import distance_correlations
from tests.data import laws


def by_loops(x, y):
    """Székely's definition, entry by entry."""
    n = len(x)

    def centered(v):
        d = [[abs(v[i] - v[j]) for j in range(n)] for i in range(n)]
        row = [sum(line) / n for line in d]
        return [[d[i][j] - row[i] - row[j] + sum(row) / n for j in range(n)] for i in range(n)]

    a, b = centered(x), centered(y)
    product = [sum(p[i][j] * q[i][j] for i in range(n) for j in range(n)) for p, q in ((a, b), (a, a), (b, b))]
    return (product[0] / (product[1] * product[2]) ** 0.5) ** 0.5


def test_it_is_the_definition(draw):
    x = draw.normal(size=(24, 3)).astype(np.float32)
    y = (x[:, 0] ** 2 + 0.1 * x[:, 1]).astype(np.float32)
    fitted = laws.check_pairs(data.select_distance_correlation(1, rows=24), x, y)
    np.testing.assert_allclose(fitted.scores, [by_loops(column.tolist(), y.tolist()) for column in x.T], rtol=1e-5)
    assert fitted.places.tolist() == [0]


def test_a_normal_pair_has_a_closed_form(draw):
    rho = 0.8
    x = draw.normal(size=(1500, 2))
    y = rho * x[:, 0] + (1 - rho**2) ** 0.5 * draw.normal(size=1500)
    top = rho * np.arcsin(rho) + (1 - rho**2) ** 0.5 - rho * np.arcsin(rho / 2) - (4 - rho**2) ** 0.5 + 1
    want = (top / (1 + np.pi / 3 - 3**0.5)) ** 0.5
    found = distance_correlations(np.concatenate([x, np.full((1500, 1), 2.0)], 1), y)
    assert found[0] == pytest.approx(want, abs=0.03)
    assert found[1] < 0.1
    assert found[2] == 0
