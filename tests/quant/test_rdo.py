"""Rate-distortion-optimized rounding: the cost by NumPy, real files, and importance."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import artifact, quant
from compressjax.core import compress

KERNEL = np.random.default_rng(0).normal(size=(40, 60)).astype(np.float32)
PARAMS = {"w": jnp.asarray(KERNEL)}


def rounded(**settings):
    return compress(PARAMS, {"w": quant.rdo(4, granularity="tensor", **settings)})["w"]


def test_files_shrink_and_no_single_code_can_be_bettered(tmp_path):
    nodes = {slope: rounded(slope=slope, iterations=30) for slope in (0.0, 0.1, 0.5)}
    plain = compress(PARAMS, {"w": quant.rtn(4, granularity="tensor")})["w"]
    np.testing.assert_array_equal(nodes[0.0].codes, plain.codes)
    sizes = [artifact.save(tmp_path / "m.cjx", {"w": node}).ledger.leaves[0].file_bytes for node in nodes.values()]
    assert sizes[0] > sizes[1] > sizes[2]
    codes = np.asarray(nodes[0.1].materialize()) / float(nodes[0.1].scale.ravel()[0])
    codes = np.rint(codes).astype(int)
    counts = np.bincount((codes + 8).ravel(), minlength=16)
    lengths = -np.log2(np.maximum(counts, 0.5) / codes.size)
    steps = KERNEL / float(nodes[0.1].scale.ravel()[0])
    cost = (steps - codes) ** 2 + 0.1 * lengths[codes + 8]
    nearest = np.clip(np.rint(steps), -7, 7).astype(int)
    for other in (nearest, nearest - np.sign(nearest), np.zeros_like(nearest)):
        assert (cost <= (steps - other) ** 2 + 0.1 * lengths[other + 8] + 1e-4).all()


def test_what_matters_is_rounded_to_nearest():
    importance = np.where(np.arange(60) < 6, 1e4, 1.0) * np.ones((40, 1))
    node = rounded(slope=0.05, importance={"w": jnp.asarray(importance, jnp.float32)})
    plain = compress(PARAMS, {"w": quant.rtn(4, granularity="tensor")})["w"]
    same = np.asarray(node.materialize() == plain.materialize())
    assert same[:, :6].mean() > 0.95
    assert same[:, 6:].mean() < 0.9
    with pytest.raises(ValueError, match="importance of 'w' is none"):
        rounded(importance={})


@pytest.mark.parametrize("setting", [{"bits": 9}, {"slope": -1.0}, {"iterations": 0}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match="rdo:"):
        quant.rdo(**setting)
