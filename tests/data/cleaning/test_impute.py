"""Imputation against scikit-learn, over batches and merged."""

import numpy as np
import pytest
from sklearn.impute import SimpleImputer

from compressjax import data
from tests.data import laws


def holes(draw):
    rows = (1000 + draw.integers(0, 5, (40, 3))).astype(np.float32)
    rows[draw.random((40, 3)) < 0.3] = np.nan
    rows[:3, 1] = np.nan
    return rows


@pytest.mark.turns(2)
@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
def test_it_is_that_of_scikit_learn(strategy, draw):
    rows = holes(draw)
    reducer = data.impute(strategy, fill=7.0, rows=40, size=64)
    fitted = data.fit(reducer, [rows[:20], rows[20:]])
    want = SimpleImputer(strategy=strategy, fill_value=7.0).fit_transform(rows.astype(np.float64))
    np.testing.assert_allclose(fitted.transform(rows), want, rtol=1e-6)
    parts = [data.gathered(reducer, part) for part in (rows[20:], rows[:20])]
    laws.assert_close(reducer.finalize(reducer.merge(*parts)), fitted, 1e-6)


def test_bad_columns_and_arguments_are_named():
    empty = np.array([[1.0, np.nan], [2.0, np.nan]])
    for strategy in ("mean", "median", "most_frequent"):
        with pytest.raises(ValueError, match="column 1 has no value in any row"):
            data.fit(data.impute(strategy, rows=4, size=8), empty)
    with pytest.raises(ValueError, match="row 0, column 1 is inf; drop the row"):
        data.fit(data.impute(), np.array([[1.0, np.inf]]))
    with pytest.raises(ValueError, match="strategy='mode'"):
        data.impute("mode")
    with pytest.raises(ValueError, match="fill has 3 values for 2 features"):
        data.fit(data.impute("constant", fill=[1, 2, 3]), empty)
