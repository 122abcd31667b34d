"""Numbers of components: scikit-learn's for Minka, planted factors for parallel analysis."""

import jax
import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import PCA

from compressjax import data
from compressjax.data.decomposition import _rank


def planted(draw, rows=300, features=12, factors=3):
    strengths = np.array([3.0, 2.5, 2.0])[:factors]
    return draw.normal(size=(rows, factors)) * strengths @ np.linalg.qr(draw.normal(size=(features, factors)))[
        0
    ].T + 0.3 * (draw.normal(size=(rows, features)))


@pytest.mark.parametrize("load", [load_iris, load_wine, None])
def test_minka_is_that_of_scikit_learn(load, draw):
    rows = load().data if load else planted(draw)
    rows = rows / rows.std(0)
    fitted = data.fit(data.pca("minka"), rows)
    assert len(fitted.components) == PCA("mle", svd_solver="full").fit(rows).n_components_


def test_parallel_analysis_finds_planted_factors_and_none_in_noise(draw, key):
    assert len(data.fit(data.pca("parallel", key=key), planted(draw)).components) == 3
    assert len(data.fit(data.pca("parallel", key=key), draw.normal(size=(300, 12))).components) == 1
    few = planted(draw, rows=10)
    assert len(data.fit(data.svd_pca("parallel", key=key), few).components) <= 3


def test_the_noise_has_the_law_of_normal_rows(draw):
    """Bartlett's factor in place of rows: the largest eigenvalue has the same mean."""
    rows, features = 40, np.array([1.0, 2.0, 4.0])
    drawn = [
        np.linalg.eigvalsh(np.cov(draw.normal(size=(rows, 3)) * np.sqrt(features), rowvar=False)) for _ in range(400)
    ]
    edge = np.quantile(drawn, 0.95, axis=0)[::-1]
    for factor, expected in ((1.1, 3), (0.9, 0)):
        found = _rank.by_noise(edge * factor, features, rows, jax.random.key(1), draws=400)
        assert found == max(expected, 1)


def test_shares_and_bad_ways():
    assert _rank.by_share(np.array([5.0, 3.0, 2.0]), 0.8) == 2
    with pytest.raises(ValueError, match=r"components='mle' is unknown; .*'minka', 'parallel'"):
        data.pca("mle")
    with pytest.raises(ValueError, match="pass key="):
        data.pca("parallel")
