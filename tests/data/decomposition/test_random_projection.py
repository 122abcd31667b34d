"""Random directions nearly keep distances, as the lemma says."""

import jax
import numpy as np
import pytest

from compressjax import data
from tests.data import laws


def test_distances_stay_within_the_bound():
    rows = laws.digits()[:40]
    error = 0.5
    components = int(np.ceil(4 * np.log(len(rows)) / (error**2 / 2 - error**3 / 3)))
    fitted = laws.check(data.random_projection(components, jax.random.key(0)), rows)
    z = np.asarray(fitted.transform(rows))
    pairs = np.triu_indices(len(rows), 1)
    ratio = ((z[pairs[0]] - z[pairs[1]]) ** 2).sum(1) / ((rows[pairs[0]] - rows[pairs[1]]) ** 2).sum(1)
    assert 1 - error < ratio.min() <= ratio.max() < 1 + error
    assert ratio.mean() == pytest.approx(1, abs=0.1)
    with pytest.raises(ValueError, match="components=0"):
        data.random_projection(0, jax.random.key(0))
