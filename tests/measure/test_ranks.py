"""Rank correlation against SciPy."""

import numpy as np
import pytest
from scipy import stats

from compressjax.measure._ranks import rank_correlation


@pytest.mark.parametrize("ties", [False, True])
def test_is_spearmans(ties):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=50), rng.normal(size=50)
    b += a
    if ties:
        a, b = np.round(a), np.round(b)
    np.testing.assert_allclose(rank_correlation(a, b), stats.spearmanr(a, b).statistic, rtol=1e-12)


def test_constant_and_unequal():
    assert np.isnan(rank_correlation(np.ones(3), np.arange(3.0)))
    with pytest.raises(ValueError, match="cannot be compared"):
        rank_correlation(np.ones(3), np.ones(4))
