"""Layer-by-layer methods: one decision, shifts that compensate, further training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from compressjax.prune.once._layerwise import HessianInfo, decided, layerwise
from tests import helpers


def halved(path, x, stats, sparsity):
    """Keeps entries above the statistic, and halves them."""
    return x > stats, -x.astype(jnp.float32) / 2, HessianInfo(jnp.sum(x).astype(jnp.float32), stats > 1)


METHOD = layerwise("half", halved, ("limit",), inverts=True)


@pytest.mark.parametrize("dtype", helpers.FLOATS)
def test_kept_weights_are_shifted(dtype):
    params = {"kernel": jnp.array([[1.0, 3.0], [-2.0, 8.0]], dtype)}
    state = METHOD.after_step(params, METHOD.init(params), {"kernel": jnp.float32(2)})[1]
    assert (float(state.info["kernel"].condition), bool(state.info["kernel"].fallback)) == (10.0, True)
    node = METHOD.encode(params, state)["kernel"]
    assert node.materialize().tolist() == [[0.0, 1.5], [0.0, 4.0]]
    assert node.dtype == jnp.dtype(dtype)
    assert helpers.same_bits(METHOD.view(params, state)["kernel"], node.materialize())


def test_decides_once_and_trains_on():
    params = {"kernel": jnp.array([[1.0, 3.0]])}
    tx = core.as_optax(METHOD, optax.sgd(1.0))
    state = tx.init(params)
    state = state._replace(compression=METHOD.after_step(params, state.compression, {"kernel": 2.0})[1])
    step = jax.jit(tx.update)
    updates, state = step({"kernel": jnp.ones((1, 2))}, state, params)
    assert updates["kernel"].tolist() == [[0.0, -1.0]]
    params = optax.apply_updates(params, updates)
    assert METHOD.view(params, state.compression)["kernel"].tolist() == [[0.0, 0.5]]
    again = METHOD.after_step(params, state.compression, {"kernel": -9.0})[1]
    np.testing.assert_array_equal(again.masks["kernel"], [[False, True]])


def test_statistics_must_come():
    params = {"a": jnp.ones((1, 1)), "b": jnp.ones((1, 1))}
    with pytest.raises(ValueError, match=r"half reads statistics \('limit',\), absent for \['a', 'b'\]; run observe"):
        core.compress(params, {".*": METHOD})
    with pytest.raises(core.UnfitError, match="'b': no product of the observed function reads it"):
        core.compress(params, {".*": METHOD}, {"a": 1.0}, unfit="raise")
    assert not decided(jnp.array(False))
    assert decided(jnp.array(True))


def test_every_leaf_gets_its_share():
    asked = {}

    def leaf(path, x, stats, sparsity):
        asked[path] = sparsity
        return jnp.ones(x.shape, bool), None, None

    params = {"a": jnp.ones((40, 40)), "b": jnp.ones((4, 4))}
    for distribution in ("uniform", "erk", {"a": 0.7}):
        method = layerwise("x", leaf, ("y",), inverts=False, sparsity=0.5, distribution=distribution)
        method.after_step(params, method.init(params), {"a": 0, "b": 0})[1]
        shares = prune.distributions.densities({"a": (40, 40), "b": (4, 4)}, 0.5, distribution)
        assert asked == pytest.approx({path: 1 - share for path, share in shares.items()})
    with pytest.raises(ValueError, match="matches none of"):
        layerwise("x", leaf, ("y",), inverts=False, sparsity=0.5, distribution={"c": 0.7}).init(params)


def test_compress_gives_the_shift_away_and_nothing_else():
    params, stats = {"kernel": jnp.array([[1.0, 3.0], [-2.0, 8.0]])}, {"kernel": jnp.float32(2)}
    given = jnp.array([[0.0, 1.0], [1.0, 2.0]])
    lending = layerwise("lend", lambda path, x, s, zeros: (x > s, given + 0, None), ("limit",), inverts=True)
    made = core.compress(params, {"kernel": lending}, stats)
    assert made["kernel"].materialize().tolist() == [[0.0, 4.0], [0.0, 10.0]]
    assert not params["kernel"].is_deleted()
    state = lending.after_step(params, lending.init(params), stats)[1]
    assert lending.encode(params, state)["kernel"].value.tolist() == made["kernel"].value.tolist()
    assert not state.shifts["kernel"].is_deleted()
