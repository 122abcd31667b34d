"""SparseGPT in NumPy beside the compiled one, which `jit` takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import prune
from compressjax.core._layout import Layout
from compressjax.interpret.observing._statistics import of_rows
from tests import helpers


@pytest.mark.turns(2)
@pytest.mark.parametrize(("sparsity", "pattern"), [(0.6, "unstructured"), (None, "2:4")])
def test_is_the_compiled_program(sparsity, pattern):
    """Two stacked layers stored as `[out, layer, in]`, in bfloat16, with an input that never occurs."""
    w = helpers.array(0, (5, 2, 12)).astype(jnp.bfloat16)
    rows = (
        helpers.array(1, (2, 40, 12))
        @ helpers.array(2, (12, 12))
        * jnp.where(jnp.arange(12) == 7, 0.0, 1.0)[None, None]
    )
    stats = {"kernel": of_rows(rows, gram=True).replace(layout=Layout((1,), (2,), (0,)))}
    method = prune.sparsegpt(sparsity, pattern, block=8)
    state = method.init({"kernel": w})
    _, host = method.after_step({"kernel": w}, state, stats)
    _, compiled = jax.jit(method.after_step)({"kernel": w}, state, stats)
    np.testing.assert_array_equal(host.masks["kernel"], compiled.masks["kernel"])
    np.testing.assert_allclose(host.shifts["kernel"], compiled.shifts["kernel"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(host.info["kernel"].condition, compiled.info["kernel"].condition, rtol=1e-3)
