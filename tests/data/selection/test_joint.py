"""Second moments of features and targets against NumPy."""

import jax
import numpy as np
import pytest

from compressjax.data.selection import _joint


def test_they_are_covariances(draw):
    x = np.concatenate([5 + draw.normal(size=(20, 3)), np.full((20, 1), 7.0)], 1).astype(np.float32)
    y = np.arange(20) % 3
    state = jax.jit(_joint.with_batch, static_argnums=2)(_joint.no_joint(4, 3), (x, y), 3)
    gram, cross = _joint.gram_and_cross(state, 3, standardize=False)
    both = np.cov(np.concatenate([x, np.eye(3)[y]], 1).astype(np.float64), rowvar=False, bias=True)
    np.testing.assert_allclose(gram, both[:4, :4], atol=1e-5)
    np.testing.assert_allclose(cross, both[:4, 4:], atol=1e-6)
    gram, _ = _joint.gram_and_cross(state, 3, standardize=True)
    np.testing.assert_allclose(gram[:3, :3], np.corrcoef(x[:, :3], rowvar=False), atol=1e-5)
    assert not gram[3].any()
    with pytest.raises(ValueError, match="classes=1"):
        _joint.reads_of("s", 1)
    assert _joint.reads_of("s", None).labels == "numbers"
