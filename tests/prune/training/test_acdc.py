"""AC/DC: sparse and dense steps, their masks, and the zeros afterwards."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (6, 8)), "bias": helpers.array(1, (8,))}, "b": helpers.array(2, (8, 4))}


@pytest.mark.turns(3)
@pytest.mark.parametrize(("end", "sparse"), [(12, "0011100011101"), (8, "0011100011111"), (6, "0011101111111")])
def test_phases(end, sparse):
    """Two dense steps, phases of three; an end within a dense phase compresses at once."""
    method = prune.acdc(0.75, begin=2, every=3, end=end)
    state, before_step = method.init(PARAMS), jax.jit(method.before_step)
    kept = []
    for step in range(13):
        kept.append(sum(int(m.sum()) for m in state.masks.values()))
        seen = {"a": {"kernel": helpers.array(step, (6, 8))}, "b": helpers.array(50 + step, (8, 4))}
        state = method.after_step(seen, before_step(seen, seen, state)[1])[1]
    assert "".join("1" if k == 20 else "0" for k in kept) == sparse
    assert set(kept) == {20, 80}


def test_masks_of_a_phase_stay_and_dropped_weights_start_from_zero():
    method = prune.acdc(0.5, begin=1, every=3, end=20, distribution="uniform")
    tx = core.as_optax(method, optax.adamw(0.05, weight_decay=0.1))

    @jax.jit
    def step(params, state):
        updates, state = tx.update(jax.tree.map(lambda x: x - 1.0, params), state, params)
        return optax.apply_updates(params, updates), state

    params, state, rows = PARAMS, tx.init(PARAMS), []
    for _ in range(8):
        params, state = step(params, state)
        rows.append((np.asarray(params["b"]), np.asarray(state.compression.masks["b"])))
    first = rows[0][1]
    assert first.sum() == 16
    for value, mask in rows[:3]:
        np.testing.assert_array_equal(mask, first)
        assert not value[~mask].any()
    # Step 4 opens the network, and with it the zeros: they learn from there, by steps of Adam's size.
    assert rows[3][1].all()
    assert rows[3][0][~first].all()
    assert np.abs(rows[3][0][~first]).max() < 0.06
    value, mask = rows[6]
    assert mask.sum() == 16
    assert (value[~mask] == 0).all()


@pytest.mark.parametrize("settings", [{"begin": -1}, {"every": 0}, {"end": 1}])
def test_bad_settings(settings):
    with pytest.raises(ValueError, match="acdc: begin="):
        prune.acdc(0.5, **{"begin": 2, "every": 1, "end": 9, **settings})


def test_all_of_the_budget_is_ranked_together():
    state = prune.acdc(0.8, begin=0, every=5, end=5).init(PARAMS)
    scores = np.concatenate([np.abs(PARAMS["a"]["kernel"]).ravel(), np.abs(PARAMS["b"]).ravel()])
    threshold = np.sort(scores)[-16]
    np.testing.assert_array_equal(state.masks["b"], jnp.abs(PARAMS["b"]) >= threshold)
