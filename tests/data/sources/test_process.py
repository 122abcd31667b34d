"""Parts of processes cover all rows once, and merge to the whole."""

import os
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest

from compressjax import data
from experiments import jobs
from tests.experiments.test_stopping import ROOT


def test_parts_cover_everything_once(draw):
    x = draw.normal(size=(11, 2)).astype(np.float32)
    parts = [data.process_part(x, p, 3) for p in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), x)
    assert {len(part) for part in parts} == {3, 4}
    reducer = data.min_max_scaler()
    state = data.gathered(reducer, parts[0])
    for part in parts[1:]:
        state = reducer.merge(state, data.gathered(reducer, part))
    np.testing.assert_array_equal(reducer.finalize(state).shift, x.min(0))
    assert data.process_part(x) is not None
    with pytest.raises(ValueError, match=r"index=3 must be in \[0, 3\)"):
        data.process_part(x, 3, 3)
    assert data.merge_processes(reducer, state) is state


PROGRAM = """
    import sys
    import jax
    import numpy as np

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 1)
    jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
    from compressjax import data
    from tests.data.sources.test_process import fitted, reducers, rows

    for name, reducer in reducers().items():
        mine, state, more = tuple(map(data.process_part, rows())), None, True
        mine = mine if reducer.reads.labels is not None else mine[0]
        while more:
            state, more = data.merge_processes(reducer, data.gathered(reducer, mine, start=state)), False
            if reducer.again is not None:
                state, more = reducer.again(state)
        for one, two in zip(fitted(name), jax.tree.leaves(reducer.finalize(state)), strict=True):
            np.testing.assert_allclose(np.asarray(two), one, rtol=1e-5, atol=1e-5, err_msg=name)
    print("equal")
"""


def rows():
    """Rows with a spectrum, and their classes."""
    draw = np.random.default_rng(0)
    return np.abs(draw.normal(size=(400, 6)) * np.arange(1, 7)).astype(np.float32), draw.integers(0, 3, 400)


def reducers():
    """One of every kind of state: moments, extremes, a sample, counts, products, passes."""
    return {
        "scaler": data.standard_scaler(), "range": data.min_max_scaler(), "pca": data.pca(2),
        "variances": data.select_anova(2, 3), "regression": data.nmf(2, jax.random.key(0), passes=3),
        "quantiles": data.median_scaler(),
    }  # fmt: skip


def fitted(name):
    """What one process learns from all rows."""
    reducer = reducers()[name]
    return [np.asarray(x) for x in jax.tree.leaves(data.fit(reducer, rows() if reducer.reads.labels else rows()[0]))]


@pytest.mark.thorough
def test_two_processes_learn_what_one_learns():
    address = jobs.free_address()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), address, str(k)],
            cwd=ROOT, env={**os.environ, "XLA_FLAGS": ""}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for k in (0, 1)
    ]  # fmt: skip
    for process in processes:
        out, wrong = process.communicate(timeout=300)
        assert process.returncode == 0, wrong[-2000:]
        assert out.endswith("equal\n")
