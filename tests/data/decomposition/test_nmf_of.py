"""Every step of NMF in memory is that of scikit-learn from the same start."""

import warnings

import numpy as np
import pytest
from sklearn.decomposition import NMF

from compressjax import data
from tests.data import laws

ROWS = laws.digits()[:60, 16:32] / 16 + 0.01


@pytest.mark.parametrize(
    ("loss", "solver"),
    [("frobenius", "coordinate"), ("frobenius", "multiplicative"), ("kullback-leibler", "multiplicative")],
)
def test_steps_are_those_of_scikit_learn(loss, solver, key, draw):
    start = draw.uniform(0.1, 1, (60, 4)).astype(np.float32), draw.uniform(0.1, 1, (4, 16)).astype(np.float32)
    found = data.nmf_of(ROWS, 4, key, loss=loss, solver=solver, steps=12, tolerance=0, start=start)
    reference = NMF(4, init="custom", beta_loss=loss, solver={"coordinate": "cd", "multiplicative": "mu"}[solver],
                    max_iter=12, tol=0)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codes = reference.fit_transform(ROWS, W=start[0].copy(), H=start[1].copy())
    laws.assert_close(found.codes, codes, 1e-3)
    laws.assert_close(found.parts.components, reference.components_, 1e-3)
    assert int(found.steps) == 12


def test_it_stops_and_names_bad_arguments(key):
    found = data.nmf_of(ROWS, 4, key, tolerance=1e-2)
    assert int(found.steps) < 200
    laws.assert_close(found.parts.transform(ROWS), found.codes, 0.2)
    with pytest.raises(ValueError, match=r"start has shapes \(2, 4\)"):
        data.nmf_of(ROWS, 4, key, start=(np.ones((2, 4)), np.ones((4, 16))))
    with pytest.raises(ValueError, match="row 1, column 0 is -1.0, not in"):
        data.nmf_of(np.array([[1.0], [-1.0]]), 1, key)
    with pytest.raises(ValueError, match="components=0"):
        data.nmf_of(ROWS, 0, key)
