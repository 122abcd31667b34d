"""Memory: the process's peak, and a compiled function's intermediates."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import measure


def test_peak_grows_with_what_is_held():
    before = measure.peak_memory()
    held = np.ones(before // 8 + (1 << 24))  # more than all that was held, touched
    assert measure.peak_memory() >= held.nbytes
    del held
    assert measure.peak_memory() >= before


def test_temporaries_of_a_compiled_function():
    def through(n: int) -> int:
        f = jax.jit(lambda x: jnp.sort(jnp.outer(x, x).ravel())[0])
        return measure.temp_bytes(f.lower(jnp.ones(n)).compile())

    assert through(64) >= 64 * 64 * 4
    assert through(128) >= 128 * 128 * 4


def test_a_backend_that_does_not_say_is_refused():
    with pytest.raises(ValueError, match="no memory analysis"):
        measure.temp_bytes(types.SimpleNamespace(memory_analysis=lambda: None))
