"""ASVD and SVD-LLM: the loss identity of the paper, and their order against plain SVD."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank
from compressjax.interpret import observe
from tests.prune.layers import apply, correlated, error


def test_the_loss_of_svd_llm_is_the_tail_of_the_singular_values():
    x, params = correlated(0)
    _, stats = observe(apply)(params, x)
    outputs = np.linalg.svd(np.asarray(x, np.float64) @ np.asarray(params["kernel"], np.float64), compute_uv=False)
    lost = {}
    for name, method in {
        "svd": lowrank.svd(rank=4), "asvd": lowrank.asvd(rank=4), "svd_llm": lowrank.svd_llm(rank=4)
    }.items():  # fmt: skip
        lost[name] = error(core.compress(params, {".*": method}, stats)["kernel"], params, x)
    assert lost["svd_llm"] == pytest.approx(np.sum(outputs[4:] ** 2), rel=1e-3)
    assert lost["svd_llm"] < lost["asvd"] < lost["svd"]


def test_asvd_weighs_rows_by_the_size_of_their_inputs(draw):
    x = jnp.asarray(draw.normal(size=(50, 8)) * np.logspace(1, -1, 8), jnp.float32)
    kernel = draw.normal(size=(8, 12)).astype(np.float32)
    _, stats = observe(apply)({"kernel": jnp.asarray(kernel)}, x)
    node = core.compress({"kernel": jnp.asarray(kernel)}, {".*": lowrank.asvd(rank=2, alpha=1.0)}, stats)["kernel"]
    size = np.sqrt(np.mean(np.asarray(x) ** 2, axis=0))[:, None]
    u, s, vt = np.linalg.svd(size * kernel, full_matrices=False)
    np.testing.assert_allclose(size * node.materialize(), (u[:, :2] * s[:2]) @ vt[:2], atol=1e-3)
    plain = core.compress({"kernel": jnp.asarray(kernel)}, {".*": lowrank.asvd(rank=2, alpha=0)}, stats)["kernel"]
    same = core.compress({"kernel": jnp.asarray(kernel)}, {".*": lowrank.svd(rank=2)})["kernel"]
    np.testing.assert_allclose(plain.materialize(), same.materialize(), atol=1e-4)


def test_what_is_missing_is_named():
    x, params = correlated(0)
    with pytest.raises(ValueError, match=r"asvd\(rank=2\) reads statistics"):
        core.compress(params, lowrank.asvd(rank=2))
    with pytest.raises(ValueError, match="asvd reads the squares of the inputs of 'kernel'"):
        lowrank.asvd(rank=2).encode(params, ())
    _, stats = observe(apply, gram=False)(params, x)
    with pytest.raises(ValueError, match="svd_llm reads the Gram matrix of the inputs of 'kernel'"):
        core.compress(params, lowrank.svd_llm(rank=2), stats)
    with pytest.raises(ValueError, match="alpha=2 must be between 0 and 1"):
        lowrank.asvd(rank=2, alpha=2)
