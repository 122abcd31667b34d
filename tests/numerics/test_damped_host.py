"""The damped root in NumPy beside the compiled one."""

import tracemalloc

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.numerics._damped import damped_root
from compressjax.numerics._damped_host import damped_root_on_host


@pytest.mark.parametrize("kind", ["regular", "singular", "indefinite"])
def test_is_the_compiled_root(kind):
    x = np.random.default_rng(0).normal(size=(3 if kind == "singular" else 40, 6)).astype(np.float32)
    h = x.T @ x
    h[2] = h[:, 2] = 0
    if kind == "indefinite":
        h = h - 1e3 * np.eye(6, dtype=np.float32)
    root, damping, failed = damped_root_on_host(h, 0.0 if kind == "singular" else 0.01)
    want = damped_root(jnp.asarray(h), 0.0 if kind == "singular" else 0.01)
    assert failed == bool(want.failed) == (kind == "indefinite")
    np.testing.assert_allclose(damping, want.damping, rtol=1e-6)
    np.testing.assert_allclose(root, want.root, rtol=2e-3, atol=1e-4 * np.abs(root).max())


def test_takes_the_memory_of_one_matrix():
    x = np.random.default_rng(0).normal(size=(300, 200)).astype(np.float32)
    h = x.T @ x
    damped_root_on_host(h, 0.01)
    tracemalloc.start()
    damped_root_on_host(h, 0.01)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * h.nbytes
