"""Low rank plus sparse: planted parts, in turn and by pursuit."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank


def planted(draw):
    low = draw.normal(size=(40, 2)) @ draw.normal(size=(2, 30))
    sparse = np.where(draw.random((40, 30)) < 0.03, draw.choice([-8.0, 8.0], (40, 30)), 0.0)
    return jnp.asarray(low + sparse, jnp.float32), low, sparse


@pytest.mark.parametrize("settings", [{"rank": 2, "density": 0.04, "rounds": 100}, {}], ids=["in turn", "pursuit"])
def test_planted_parts_are_found(draw, settings):
    kernel, low, sparse = planted(draw)
    node = core.compress({"k": kernel}, lowrank.low_rank_plus_sparse(**settings))["k"]
    np.testing.assert_allclose(node.terms[0].materialize(), low, atol=1e-2)
    assert (np.asarray(node.terms[1].mask) | (sparse == 0)).all()
    assert node.terms[0].rank == 2
    np.testing.assert_allclose(node.materialize(), kernel, atol=1e-3)


def test_the_number_of_single_weights_is_exact(draw):
    node = lowrank.low_rank_plus_sparse(1, 0.1, rounds=2).encode({"k": jnp.zeros((10, 12))}, ())["k"]
    assert node.terms[1].mask.sum() == 12


def test_settings(draw):
    for settings in ({"rank": 1}, {"rank": 1, "density": 0.1, "penalty": 1.0}, {"rank": 0, "density": 0.1},
                     {"rank": 1, "density": 1.0}, {"penalty": 0.0}, {"rounds": 0}):  # fmt: skip
        with pytest.raises(ValueError, match="low_rank_plus_sparse: "):
            lowrank.low_rank_plus_sparse(**settings)
    noise = jnp.asarray(draw.normal(size=(12, 10)), jnp.float32)
    with pytest.raises(ValueError, match="would not make it smaller"):
        core.compress({"k": noise}, lowrank.low_rank_plus_sparse())
