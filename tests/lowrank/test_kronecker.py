"""The nearest Kronecker product against the singular values of the rearranged matrix."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank
from compressjax.lowrank._kronecker import nearest_divisor


def test_planted_terms_are_exact(draw):
    kernel = sum(np.kron(draw.normal(size=(4, 3)), draw.normal(size=(5, 4))) for _ in range(2))
    node = core.compress({"k": jnp.asarray(kernel, jnp.float32)}, lowrank.kronecker(terms=2, shape=(4, 3)))["k"]
    np.testing.assert_allclose(node.materialize(), kernel, atol=1e-4)


def test_the_error_is_the_tail_of_the_rearranged_matrix(draw):
    kernel = draw.normal(size=(12, 8))
    node = core.compress({"k": jnp.asarray(kernel, jnp.float32)}, lowrank.kronecker(terms=1, shape=(3, 4)))["k"]
    blocks = [kernel[4 * a : 4 * a + 4, 2 * b : 2 * b + 2].ravel() for a in range(3) for b in range(4)]
    tail = np.sum(np.linalg.svd(np.stack(blocks), compute_uv=False)[1:] ** 2)
    assert float(jnp.sum((node.materialize() - kernel) ** 2)) == pytest.approx(tail, rel=1e-4)


def test_settings():
    assert [nearest_divisor(n) for n in (1, 7, 12, 300, 784)] == [1, 1, 3, 15, 28]
    with pytest.raises(ValueError, match=r"shape=\(5, 2\) does not divide its 12 rows and 8 columns"):
        core.compress({"k": jnp.ones((12, 8))}, lowrank.kronecker(shape=(5, 2)))
    for settings in ({"terms": 0}, {"shape": (0, 1)}):
        with pytest.raises(ValueError, match="kronecker: terms="):
            lowrank.kronecker(**settings)
