"""One compression out of those of layers: each acts on its own part, under its own names."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import prune
from compressjax.core import from_encode
from compressjax.modules._joined import joined

PARAMS = {"a": {"b": {"kernel": jnp.arange(1.0, 5.0).reshape(2, 2)}}, "c": {"kernel": jnp.arange(4.0, 0.0, -1)[None]}}
LAYERS = {"a/b": prune.magnitude(0.5), "c": prune.gradual(0.75, end=1, every=1)}


def test_states_lie_where_layers_look_for_them():
    both = joined(LAYERS, "Net")
    state = both.init(PARAMS)
    assert list(state) == ["a/b", "c"]
    assert list(state["a/b"].masks) == list(state["c"].masks) == ["kernel"]
    state = both.update(state, PARAMS)
    seen = both.view(PARAMS, state)
    np.testing.assert_array_equal(seen["a"]["b"]["kernel"], [[0, 0], [3, 4]])
    np.testing.assert_array_equal(seen["c"]["kernel"], [[4, 0, 0, 0]])
    np.testing.assert_array_equal(both.constrain(PARAMS, state)["c"]["kernel"], [[4, 0, 0, 0]])
    received, _ = both.receive(PARAMS, PARAMS, state)
    np.testing.assert_array_equal(received["a"]["b"]["kernel"], [[0, 0], [3, 4]])


def test_leaves_that_are_absent_need_no_projection():
    both = joined(LAYERS, "Net")
    state = both.update(both.init(PARAMS), PARAMS)
    moments = {"a": {"b": {"kernel": None}}, "c": PARAMS["c"]}
    after = both.constrain(moments, state)
    assert after["a"]["b"]["kernel"] is None
    np.testing.assert_array_equal(after["c"]["kernel"], [[4, 0, 0, 0]])


def test_statistics_reach_their_layers():
    seen = []
    reads = from_encode("reads", lambda path, x, stats: seen.append((path, stats)) or x, needs=("mean",))
    both = joined({"a/b": reads}, "Net")
    assert both.needs == ("mean",)
    state = both.update(both.init(PARAMS), PARAMS, None, {"a/b/kernel": 7, "c/kernel": 8})
    both.encode(PARAMS, state)
    assert seen[-1] == ("kernel", 7)
    with pytest.raises(ValueError, match="absent"):
        both.update(state, PARAMS, None, {"c/kernel": 8})


def test_restriction_is_refused():
    with pytest.raises(ValueError, match="restricted"):
        joined(LAYERS, "Net").restrict(".*")
