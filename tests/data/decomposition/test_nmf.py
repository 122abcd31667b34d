"""Nonnegative parts in passes and online, against scikit-learn's objective; batches matter by rounding only."""

import numpy as np
import pytest
from sklearn.decomposition import NMF

from compressjax import data
from tests.data import laws

ROWS = laws.digits()[:120, 16:32] / 16


def divergence(x, z):
    return float(np.sum(np.where(x > 0, x * np.log(np.maximum(x, 1e-30) / np.maximum(z, 1e-30)), 0) - x + z))


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("loss", "solver"),
    [
        ("frobenius", None),
        pytest.param("frobenius", "multiplicative", marks=pytest.mark.thorough),
        ("kullback-leibler", None),
    ],
)
def test_passes_reach_the_objective_of_scikit_learn(loss, solver, key):
    reducer = data.nmf(4, key, loss=loss, solver=solver, passes=30, inner=30)
    fitted = data.fit(reducer, ROWS)
    back = np.asarray(fitted.inverse_transform(fitted.transform(ROWS)))
    reference = NMF(
        4, beta_loss=loss, solver="mu" if loss != "frobenius" else "cd", max_iter=1000, init="random", random_state=0
    )
    theirs = reference.fit_transform(ROWS) @ reference.components_
    value = divergence if loss != "frobenius" else lambda x, z: float(np.sum((x - z) ** 2))
    assert value(ROWS, back) < 1.1 * value(ROWS, theirs)
    assert (np.asarray(fitted.components) >= 0).all()
    if solver is None:
        laws.check(reducer, ROWS, 2e-3, whole=fitted)


def test_online_is_near_the_whole_in_one_pass(key):
    rows = np.tile(ROWS, (8, 1))
    whole = data.nmf_of(ROWS, 4, key).parts.reconstruction_error(ROWS)
    online = data.fit(data.online_nmf(4, key, size=16), rows).reconstruction_error(ROWS)
    assert float(online) < 1.1 * float(whole)


def test_bad_input_is_named(key):
    bad = ROWS.copy()
    bad[7, 3] = -0.5
    with pytest.raises(ValueError, match="row 7, column 3 is -0.5, not in"):
        data.fit(data.nmf(2, key), bad)
    with pytest.raises(ValueError, match="loss='l2' must be one of"):
        data.nmf(2, key, loss="l2")
    with pytest.raises(ValueError, match="the coordinate solver is for loss='frobenius'"):
        data.nmf(2, key, loss="kullback-leibler", solver="coordinate")
    with pytest.raises(ValueError, match="memory=2"):
        data.online_nmf(2, key, memory=2)
