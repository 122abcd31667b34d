"""K-SVD finds a planted dictionary, and codes digits better than principal components."""

import numpy as np
import pytest

from compressjax import data
from tests.data import laws


def test_a_planted_dictionary_is_found(draw, key):
    atoms = np.linalg.qr(draw.normal(size=(12, 8)))[0].T
    codes = np.zeros((400, 8))
    for row in codes:
        row[draw.choice(8, 2, replace=False)] = draw.choice([-1, 1], 2) * draw.uniform(1, 2, 2)
    fitted = data.ksvd(codes @ atoms, 8, 2, key, steps=30)
    likeness = np.abs(np.asarray(fitted.atoms) @ atoms.T).max(0)
    assert (likeness > 0.96).sum() >= 7  # it can stop at a local minimum
    np.testing.assert_allclose(np.linalg.norm(fitted.atoms, axis=1), 1, rtol=1e-4)


@pytest.mark.thorough
def test_few_atoms_of_many_beat_few_components(key):
    rows = laws.digits()[:300] / 16
    fitted = data.ksvd(rows, 32, 5, key, steps=8)
    assert ((np.asarray(fitted.transform(rows)) != 0).sum(1) <= 5).all()
    error = np.sqrt(300 * float(fitted.reconstruction_error(rows))) / np.linalg.norm(rows - rows.mean(0))
    left = data.fit(data.pca(5), rows)
    assert error < 0.95 * np.sqrt(300 * float(left.reconstruction_error(rows))) / np.linalg.norm(rows - rows.mean(0))
    with pytest.raises(ValueError, match="nonzeros=9 in 1 to 8"):
        data.ksvd(rows, 8, 9, key)


@pytest.mark.thorough
def test_all_digits_are_below_the_golden_error(key):
    """32 atoms, 5 a row: 0.460 by the algorithm of scikit-learn."""
    rows = laws.digits() / 16
    fitted = data.ksvd(rows, 32, 5, key, steps=30)
    error = len(rows) * float(fitted.reconstruction_error(rows)) / np.sum((rows - rows.mean(0)) ** 2)
    assert error**0.5 < 0.46
