"""Memory: the process's peak, and a compiled function's intermediates."""

import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import measure, tensors
from tests.interpret import samples

GROW = """
import numpy as np
from compressjax import measure
before = measure.peak_memory()
held = np.ones(before // 8 + (1 << 21))
after = measure.peak_memory()
del held
print(before, after, measure.peak_memory())
"""


@pytest.mark.thorough
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


def test_bytes_that_arrays_take_now():
    """A byte per code as int8 or in NumPy, half of one as JAX's int4; masks take a byte per entry."""
    draw = samples.rng()
    grid = samples.grid(draw, (6, 4), (1, 4), bits=4)
    tree = {
        "grid": grid, "packed": grid.pack(), "host": grid.replace(codes=np.asarray(grid.pack().codes)),
        "masked": tensors.Masked(samples.floats(draw, 6, 4), samples.mask(draw, 6, 4)),
        "odd": jnp.zeros(3, jnp.int4), "abstract": jax.ShapeDtypeStruct((5,), jnp.bfloat16), "name": "net",
    }  # fmt: skip
    assert measure.memory_bytes(tree) == {
        "grid": 24 + 16, "packed": 12 + 16, "host": 24 + 16, "masked": 96 + 24, "odd": 2, "abstract": 10, "name": 0
    }  # fmt: skip
    compiled = jax.jit(lambda codes: codes[0]).lower(tree["packed"].codes).compile()
    assert compiled.memory_analysis().argument_size_in_bytes == 12
