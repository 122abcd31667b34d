"""Activations move forward with the steps, and start again where a leaf lies behind."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.calibration._activations import Activations, cut_of, held_at, live_at, used_by
from compressjax.calibration._survey import survey
from compressjax.calibration._watch import Taken
from tests.calibration import toys

GRAM = dict.fromkeys("abc", Taken(gram=True))


class Counted:
    """Batches that count how often they were read."""

    def __init__(self, batches):
        self.batches, self.readings = batches, 0

    def __iter__(self):
        self.readings += 1
        return iter(self.batches)


def test_each_step_starts_where_the_last_one_stopped():
    params, batches = toys.mlp_params(), Counted(toys.rows(4, 3))
    found = survey(toys.mlp, params, batches, GRAM)
    now = Activations(found, batches, "abc")
    x = jnp.concatenate([x for (x,) in batches.batches])
    now.advance(params, ["a"])
    (first,) = now.observe(params, "a").values()
    np.testing.assert_allclose(first.gram, x.T @ x, rtol=1e-5)
    now.advance(params, ["b"])
    readings = batches.readings
    changed = params | {"a": jnp.zeros((6, 5))}
    (second,) = now.observe(changed, "b").values()  # the past is behind: its leaves are not read again
    hidden = jnp.maximum(x @ params["a"] + params["bias"][None], 0)
    np.testing.assert_allclose(second.gram, hidden.T @ hidden, rtol=1e-5)
    now.advance(params, ["c"])
    assert batches.readings == readings
    now.advance(changed, ["a"])  # back to the start
    now.advance(changed, ["b"])
    (again,) = now.observe(changed, "b").values()
    hidden = jnp.maximum(0 * (x @ params["a"]) + params["bias"][None], 0)
    np.testing.assert_allclose(again.gram, hidden.T @ hidden, rtol=1e-5)
    assert batches.readings == readings + 1


def test_later_readings_must_give_the_batches_of_the_first():
    params, rows = toys.mlp_params(), toys.rows(4, 3)
    batches = Counted(rows)
    now = Activations(survey(toys.mlp, params, batches, GRAM), batches, "abc")
    (x,) = rows[1]
    for later, match in (
        (rows[:1], "2 batches at first and 1 later"), ([*rows, rows[0]], "2 batches at first and more later"),
        ([rows[0], (x.at[0, 0].add(1),)], "batch 1 of a later reading"), (rows[::-1], "batch 0 of a later reading"),
    ):  # fmt: skip
        batches.batches = later
        with pytest.raises(ValueError, match=match):
            now.observe(params, "a")


def test_what_lives_at_a_cut():
    params = toys.mlp_params()
    (traced,) = survey(toys.mlp, params, toys.rows(4), GRAM).lines
    used = used_by(traced, "abc")
    assert live_at(traced.line, used, 0) == traced.line.inputs
    cut = cut_of(traced, ["b"], 0)
    assert len(live_at(traced.line, used, cut)) == 1
    assert held_at(traced.line, used, cut) == 4 * 4 * 5
    assert held_at(traced.line, used, 0) == 0
    assert cut_of(traced, ["nowhere"], 7) == 7
