"""Similarities against NumPy and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import sklearn.preprocessing

from compressjax import distill


def test_value(key: jax.Array) -> None:
    student, teacher = (jax.random.normal(k, (4, 2, n)) for k, n in zip(jax.random.split(key), (3, 5)))
    flat = [np.asarray(x, np.float64).reshape(4, -1) for x in (student, teacher)]
    a, b = (sklearn.preprocessing.normalize(x @ x.T) for x in flat)
    np.testing.assert_allclose(distill.similarity_loss(student, teacher), np.sum((a - b) ** 2) / 16, rtol=1e-4)
    w = np.array([1.0, 2.0, 3.0, 4.0])
    got = distill.similarity_loss(student, teacher, weights=jnp.asarray(w, jnp.float32))
    np.testing.assert_allclose(got, np.average((a - b) ** 2, weights=np.outer(w, w)), rtol=1e-4)
