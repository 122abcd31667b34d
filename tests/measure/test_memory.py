"""Memory: the process's peak, and a compiled function's intermediates."""

import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import pytest

from compressjax import measure

GROW = """
import numpy as np
from compressjax import measure
before = measure.peak_memory()
held = np.ones(before // 8 + (1 << 21))
after = measure.peak_memory()
del held
print(before, after, measure.peak_memory())
"""


def test_peak_grows_with_what_is_held_and_never_falls():
    # In a process of its own, whose peak is small enough to exceed.
    done = subprocess.run([sys.executable, "-c", GROW], capture_output=True, text=True, check=True)
    before, after, last = map(int, done.stdout.split())
    assert 1 << 24 < before < after
    assert after >= before + (1 << 24)
    assert last >= after


def test_temporaries_of_a_compiled_function():
    def through(n: int) -> int:
        f = jax.jit(lambda x: jnp.sort(jnp.outer(x, x).ravel())[0])
        return measure.temp_bytes(f.lower(jnp.ones(n)).compile())

    assert through(64) >= 64 * 64 * 4
    assert through(128) >= 128 * 128 * 4


def test_a_backend_that_does_not_say_is_refused():
    with pytest.raises(ValueError, match="no memory analysis"):
        measure.temp_bytes(types.SimpleNamespace(memory_analysis=lambda: None))
