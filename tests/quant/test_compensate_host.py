"""GPTQ in NumPy beside the compiled one, which `jit` takes."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import quant
from compressjax.core._layout import Layout, using
from compressjax.interpret.observing._statistics import of_rows
from compressjax.quant._compensate import Rule
from compressjax.quant._compensate_host import solve_on_host
from compressjax.quant._nearest_host import HostScales
from tests import helpers


@pytest.mark.thorough
@pytest.mark.parametrize(
    "settings",
    [
        {"bits": 3, "block": 8},
        {"bits": 3, "granularity": 4, "symmetric": False, "block": 8},
        {"bits": 4, "granularity": 4, "order": "activation"},
        {"bits": 4, "clip": "mse", "granularity": "tensor"},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_is_the_compiled_program(settings):
    """Two stacked layers stored as `[out, layer, in]`, in bfloat16, with zeros and an input that never occurs."""
    w = helpers.array(0, (5, 2, 12)).astype(jnp.bfloat16).at[2, :, 3:5].set(0)
    dead = jnp.where(jnp.arange(12) == 7, 0.0, 1.0)[None, None]
    rows = helpers.array(1, (2, 40, 12)) @ helpers.array(2, (12, 12)) * dead
    stats = {"kernel": of_rows(rows, gram=True).replace(layout=Layout((1,), (2,), (0,)))}
    method = quant.gptq(**settings)
    params = {"kernel": w}
    found = []
    with using({"kernel": stats["kernel"].layout}):
        for run in (lambda f: f, jax.jit):
            state = run(method.after_step)(params, method.init(params), stats)[1]
            found.append(run(method.encode)(params, state)["kernel"])
    host, compiled = found
    # A tie that falls the other way moves what follows it.
    assert np.mean(np.asarray(host.codes) != np.asarray(compiled.codes)) < 0.03
    np.testing.assert_allclose(host.scale, compiled.scale, rtol=0.02)
    assert (np.asarray(host.materialize())[2, :, 3:5] == 0).all()


def test_takes_the_memory_of_a_few_kernels():
    """The kernel and one matrix of inputs by inputs; scales of channels are not spread."""
    draw = np.random.default_rng(0)
    x, rows = draw.normal(size=(256, 256)).astype(np.float32), draw.normal(size=(300, 256)).astype(np.float32)
    scales = HostScales(np.full((1, 256), 0.3, np.float32), None)
    rule = Rule(quant.grid(4), 0, 64, 0.01, False)

    def run():
        return solve_on_host(x, rows.T @ rows, scales, Layout((), (0,), (1,)), (1, 256), rule)

    run()
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4.5 * x.nbytes
