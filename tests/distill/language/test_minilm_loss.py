"""Relations of tokens against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill


def test_value(key: jax.Array) -> None:
    student, teacher = (jax.random.normal(k, (2, 3, n)) for k, n in zip(jax.random.split(key), (4, 6)))

    def relations(x: jax.Array) -> np.ndarray:
        cut = np.split(np.asarray(x, np.float64), 2, axis=-1)
        return np.stack([scipy.special.softmax(c @ c.swapaxes(1, 2) / np.sqrt(c.shape[-1]), -1) for c in cut])

    want = scipy.special.rel_entr(relations(teacher), relations(student)).sum(-1).mean()
    np.testing.assert_allclose(distill.minilm_loss(student, teacher, heads=2), want, rtol=1e-4)


def test_bad_arguments() -> None:
    x = jnp.ones((1, 3, 6))
    with pytest.raises(ValueError, match="heads=4 must divide 6 and 6"):
        distill.minilm_loss(x, x, heads=4)
    with pytest.raises(ValueError, match="of the same tokens"):
        distill.minilm_loss(x, x[:, :2], heads=2)
