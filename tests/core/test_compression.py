"""on_values, from_encode, identity, only: whole trees in, selected values changed, the rest untouched."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from tests import helpers, toys

PARAMS = {
    "a": {"kernel": helpers.array(0, (4, 6)), "bias": helpers.array(1, (6,))},
    "b": {"kernel": helpers.array(2, (6, 2)), "bias": helpers.array(3, (2,))},
    "step": jnp.int32(3),
}


def test_state_is_keyed_by_path_and_init_is_abstract() -> None:
    state = toys.mask().init(PARAMS)
    assert list(state.mask) == ["a/kernel", "b/kernel"]
    abstract = jax.eval_shape(toys.mask().init, PARAMS)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), abstract) == jax.tree.map(lambda x: (x.shape, x.dtype), state)


def test_view_and_encode_touch_the_selected_leaves_only() -> None:
    c = core.only("b/kernel", toys.mask())
    state = c.update(c.init(PARAMS), PARAMS)
    for out in (c.view(PARAMS, state), c.encode(PARAMS, state)):
        assert out["a"]["kernel"] is PARAMS["a"]["kernel"]
        assert out["b"]["bias"] is PARAMS["b"]["bias"]
        assert out["step"] is PARAMS["step"]
    assert isinstance(c.encode(PARAMS, state)["b"]["kernel"], tensors.Masked)
    assert int((c.view(PARAMS, state)["b"]["kernel"] == 0).sum()) == 6


def test_a_selector_can_choose_what_is_no_kernel() -> None:
    c = core.only(".*bias", toys.mask())
    assert c.select(PARAMS) == ("a/bias", "b/bias")
    assert core.only("a/.*", c).select(PARAMS) == ("a/bias",)
    with pytest.raises(ValueError, match=r"toy.mask: \['.\*bias', '.\*kernel'\] selects nothing"):
        core.only(".*kernel", c).init(PARAMS)


def test_update_sees_selected_gradients_and_statistics() -> None:
    seen: dict[str, Any] = {}

    def update(state: Any, flat: Any, grads: Any, stats: Any) -> Any:
        seen.update(flat=flat, grads=grads, stats=stats)
        return state

    c = core.only("a/kernel", core.on_values("spy", encode=lambda flat, state: flat, update=update))
    grads = {**jax.tree.map(lambda x: 2.0 * x, PARAMS), "step": None}
    c.update(c.init(PARAMS), PARAMS, grads, "statistics")
    assert list(seen["flat"]) == list(seen["grads"]) == ["a/kernel"]
    assert helpers.same_bits(seen["grads"]["a/kernel"], grads["a"]["kernel"])
    assert seen["stats"] == "statistics"
    c.update(c.init(PARAMS), PARAMS)
    assert seen["grads"] is None


def test_constrain_accepts_trees_that_lack_leaves() -> None:
    """Moments of a partitioned optimizer have only some of the parameters."""
    c = toys.mask(0.25)
    state = c.update(c.init(PARAMS), PARAMS)
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    whole = c.constrain(ones, state)
    assert int(whole["a"]["kernel"].sum()) == 6
    assert whole["a"]["bias"] is ones["a"]["bias"]
    part = c.constrain({"a": ones["a"]}, state)
    assert helpers.same_bits(part["a"]["kernel"], whole["a"]["kernel"])
    nothing = {"b": {"bias": ones["b"]["bias"]}}
    assert c.constrain(nothing, state) == nothing
    assert toys.grid().constrain(ones, ()) is ones


def test_from_encode_views_what_it_stores_with_straight_gradients() -> None:
    c = toys.grid()
    state = c.update(c.init(PARAMS), PARAMS)
    view = c.view(PARAMS, state)
    np.testing.assert_array_equal(view["a"]["kernel"], np.round(np.asarray(PARAMS["a"]["kernel"]) * 4) / 4)
    assert helpers.difference(view, core.materialize(c.encode(PARAMS, state))) == ""
    weight = helpers.array(5, (4, 6))
    grad = jax.grad(lambda k: (weight * c.view({"kernel": k}, ())["kernel"]).sum())(PARAMS["a"]["kernel"])
    assert helpers.same_bits(grad, weight)


def test_from_encode_hands_over_the_statistics_of_the_leaf() -> None:
    c = toys.weighted()
    assert c.needs == ("norm",)
    stats = {"a/kernel": {"norm": jnp.arange(4.0)}, "b/kernel": {"norm": jnp.ones(6)}, "c": {"norm": jnp.ones(1)}}
    state = c.update(c.init(PARAMS), PARAMS, None, stats)
    out = c.encode(PARAMS, state)
    np.testing.assert_array_equal(
        out["a"]["kernel"], np.arange(4, dtype=np.float32)[:, None] * np.asarray(PARAMS["a"]["kernel"])
    )
    for absent in (None, {}, {"a/kernel": stats["a/kernel"]}):
        with pytest.raises(ValueError, match=r"toy.*|<lambda>.*") as error:
            c.update(c.init(PARAMS), PARAMS, None, absent)
        assert "b/kernel" in str(error.value)
        assert "run observe" in str(error.value)


def test_identity_is_the_identity() -> None:
    c = core.identity()
    state = c.update(c.init(PARAMS), PARAMS)
    assert helpers.difference(c.view(PARAMS, state), PARAMS) == ""
    assert helpers.difference(c.encode(PARAMS, state), PARAMS) == ""
    assert core.only(".*bias", c).select(PARAMS) == ("a/bias", "b/bias")
    with pytest.raises(ValueError, match="selects nothing"):
        core.only("z", c).init(PARAMS)


def test_receive_constrains_and_project_is_the_identity_by_default() -> None:
    c = toys.mask(0.25)
    state = c.update(c.init(PARAMS), PARAMS)
    grads = jax.tree.map(jnp.ones_like, PARAMS)
    received, after = c.receive(grads, PARAMS, state)
    assert helpers.difference(received, c.constrain(grads, state)) == ""
    assert after is state
    assert c.project(PARAMS, state) is PARAMS
    swapped = c._replace(constrain=lambda tree, state: tree)
    assert swapped.receive(grads, PARAMS, state)[0] is grads


def test_receive_and_project_act_on_selected_leaves_and_survive_only() -> None:
    c = core.only("a/kernel", toys.learner(rate=1.0))
    state = c.init(PARAMS)
    grads = jax.tree.map(lambda x: 3.0 * x, PARAMS)
    received, after = c.receive(grads, PARAMS, state)
    kernel = PARAMS["a"]["kernel"]
    assert list(after.score) == ["a/kernel"]
    np.testing.assert_allclose(after.score["a/kernel"], 1 - 3.0 * kernel**2, rtol=1e-6)
    assert helpers.difference(received, grads) == ""
    projected = c.project(PARAMS, after)
    np.testing.assert_array_equal(projected["a"]["kernel"], np.where(after.score["a/kernel"] > 0, kernel, 0))
    assert projected["b"]["kernel"] is PARAMS["b"]["kernel"]
    assert projected["step"] is PARAMS["step"]


def test_an_old_construction_still_works() -> None:
    """The two newest fields have defaults."""
    c = toys.mask()
    old = core.Compression(*c[: c._fields.index("receiver")])
    assert old.receiver is None
    assert old.project(PARAMS, None) is PARAMS
