"""Cross-entropy on sequences against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from compressjax import distill


def test_value(key: jax.Array) -> None:
    logits = jax.random.normal(key, (2, 3, 4))
    tokens, w = np.array([[0, 3, 1], [2, 2, -5]]), np.array([[1.0, 2.0, 1.0], [1.0, 0.5, 0.0]])
    seen = w.ravel() > 0
    want = sklearn.metrics.log_loss(
        tokens.ravel()[seen], scipy.special.softmax(np.asarray(logits, np.float64), -1).reshape(-1, 4)[seen],
        sample_weight=w.ravel()[seen], labels=range(4),
    )  # fmt: skip
    got = distill.sequence_loss(logits, jnp.asarray(tokens), weights=jnp.asarray(w, jnp.float32))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    with pytest.raises(ValueError, match=r"labels \(2, 2\)"):
        distill.sequence_loss(logits, jnp.asarray(tokens)[:, :2])
    with pytest.raises(ValueError, match="must be .*length, vocabulary"):
        distill.sequence_loss(logits[0, 0], jnp.asarray(0))
