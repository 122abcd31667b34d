"""What factorizations share: axes from settings, layouts and statistics, and leaves that no rank fits."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank
from compressjax.interpret import observe
from compressjax.lowrank._factorize import Axes
from tests import helpers


def test_axes():
    assert Axes().of("svd", "k", (3, 3, 4, 5)) == ((), (0, 1, 2), (3,))
    assert Axes(inputs=1).of("svd", "k", (6, 4, 5)) == ((), (0,), (1, 2))
    assert Axes(batch=1).of("svd", "k", (6, 4, 5)) == ((0,), (1,), (2,))
    with pytest.raises(core.UnfitError, match="both sides need an axis"):
        Axes().of("svd", "k", (6,))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (4, 1)])
def test_leaves_without_a_smaller_form_are_named(shape):
    params = {"small": jnp.ones(shape), "large": jnp.ones((8, 8))}
    with pytest.warns(core.LeftOutWarning, match="small  "):
        tree = core.compress(params, {".*": lowrank.svd(rank=1)})
    assert tree["small"] is params["small"]


def test_zeros_and_nothing():
    tree = core.compress({"zeros": jnp.zeros((6, 8)), "none": jnp.zeros((0, 8))}, lowrank.svd(rank=2))
    assert tree["zeros"].rank == 2
    np.testing.assert_array_equal(tree["zeros"].materialize(), 0)
    assert tree["none"].shape == (0, 8)


def test_statistics_bring_their_layout():
    """A kernel stored [out, in], and stacked layers with a record each: the loss on the inputs is the least."""
    params = {"t": helpers.array(0, (6, 8)), "layers": helpers.array(1, (2, 8, 6))}
    x = helpers.array(2, (20, 8))
    fn = lambda p, x: (x @ p["t"].T, jnp.einsum("lni,lio->lno", jnp.stack([x, 2 * x]), p["layers"]))  # noqa: E731
    _, stats = observe(fn)(params, x)
    tree = core.compress(params, lowrank.svd_llm(rank=2), stats)
    assert tree["layers"].batch == 1
    wide = np.asarray(x, np.float64)
    for kernel, node in (
        (params["t"].T, tree["t"].materialize().T),
        (params["layers"][1], tree["layers"].materialize()[1]),
    ):
        lost = np.sum((wide @ np.asarray(kernel - node, np.float64)) ** 2)
        assert lost == pytest.approx(
            np.sum(np.linalg.svd(wide @ np.asarray(kernel), compute_uv=False)[2:] ** 2), rel=1e-3
        )
