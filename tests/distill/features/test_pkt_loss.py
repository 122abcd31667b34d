"""Neighbors against scikit-learn's cosines and SciPy's entropy."""

import jax
import numpy as np
import scipy.stats
import sklearn.metrics.pairwise

from compressjax import distill


def test_value(key: jax.Array) -> None:
    student, teacher = (jax.random.normal(k, (5, n)) for k, n in zip(jax.random.split(key), (3, 4)))
    want = 0.0
    for i in range(5):
        others = [j for j in range(5) if j != i]
        q, p = (sklearn.metrics.pairwise.cosine_similarity(x)[i, others] + 1 for x in (student, teacher))
        want += scipy.stats.entropy(p, q) / 5  # which normalizes both
    np.testing.assert_allclose(distill.pkt_loss(student, teacher), want, rtol=1e-4)
