"""Low-rank corrections: the tail of singular values is what is left, in any layout."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, quant, tensors
from compressjax.interpret import observe
from tests import helpers
from tests.prune.layers import correlated, error


def test_what_is_left_is_the_tail_of_the_singular_values():
    w = helpers.array(0, (12, 8))
    node = core.compress({"w": w}, {"w": quant.low_rank_correction(3, 3)})["w"]
    assert isinstance(node, tensors.Sum)
    grid, low = node.terms
    assert not helpers.difference(grid, core.compress({"w": w}, {"w": quant.rtn(3)})["w"])
    tail = np.linalg.svd(np.asarray(w - grid.materialize(), np.float64), compute_uv=False)[3:]
    assert np.sum(np.asarray(node.materialize() - w, np.float64) ** 2) == pytest.approx(np.sum(tail**2), rel=1e-3)
    assert low.left.shape == (12, 3)


def test_iterations_and_statistics_lower_the_error():
    x, params = correlated(0)
    stats = observe(lambda p, x: x @ p["kernel"])(params, x)[1]
    make = lambda stats, **settings: core.compress(  # noqa: E731
        params, {".*": quant.low_rank_correction(4, 3, **settings)}, stats
    )["kernel"]
    assert error(make(stats), params, x) < 0.7 * error(make(None), params, x)
    change = lambda node: float(jnp.sum((node.materialize() - params["kernel"]) ** 2))  # noqa: E731
    assert change(make(None, iterations=5)) < change(make(None))


def test_layouts_and_stacks():
    params = {"t": helpers.array(0, (6, 8)), "layers": helpers.array(1, (2, 8, 6))}
    fn = lambda p, x: (x @ p["t"].T, jnp.einsum("lni,lio->lno", jnp.stack([x, 2 * x]), p["layers"]))  # noqa: E731
    _, stats = observe(fn)(params, helpers.array(2, (20, 8)))
    tree = core.compress(params, {".*": quant.low_rank_correction(6, 2)}, stats)
    for name, x in params.items():
        np.testing.assert_allclose(tree[name].materialize(), x, atol=1e-4)


def test_bad_settings():
    for settings in ({"rank": 0}, {"rank": 1, "iterations": 0}, {"rank": 1, "activation": "static"}):
        with pytest.raises(ValueError, match="low_rank_correction: "):
            quant.low_rank_correction(**settings)
