"""What the builder makes of masks, against values worked out by hand."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core
from compressjax.prune.training._masking import (
    apply_masks,
    dense_gradient,
    masked_nodes,
    masking,
    shapes_of,
    whole_masks,
)

W = jnp.array([[3.0, -1.0], [jnp.inf, 2.0]])
MASK = jnp.array([[True, False], [False, True]])
SEEN = [[3.0, 0.0], [0.0, 2.0]]
PARAMS = {"kernel": W, "bias": jnp.array([5.0, 6.0])}


class Two(NamedTuple):
    """A state with two sets of masks."""

    masks: dict
    wider: dict


WIDER = jnp.array([[True, True], [False, True]])
STATE = Two({"kernel": MASK}, {"kernel": WIDER})


def method(**parts):
    return masking("mine", init=lambda flat: STATE, **parts)


def test_view_encode_and_constrain_are_the_mask():
    made = method()
    state = made.init(PARAMS)
    assert made.name == "mine"
    assert made.view(PARAMS, state)["kernel"].tolist() == SEEN
    assert made.view(PARAMS, state)["bias"].tolist() == [5.0, 6.0]
    node = made.encode(PARAMS, state)["kernel"]
    assert node.value.tolist() == SEEN
    assert node.mask.tolist() == MASK.tolist()
    assert made.constrain({"kernel": -W, "bias": jnp.ones(2)}, state)["kernel"].tolist() == [[-3.0, 0.0], [0.0, -2.0]]
    assert made.constrain({"bias": jnp.ones(2)}, state)["bias"].tolist() == [1.0, 1.0]


def test_parameters_stay_where_they_are_unless_they_land():
    assert method().projector is None
    assert method().project(PARAMS, STATE) is PARAMS
    landed = method(land=True).project(PARAMS, STATE)
    assert landed["kernel"].tolist() == SEEN
    assert landed["bias"].tolist() == [5.0, 6.0]


@pytest.mark.parametrize(("straight", "want"), [(False, [[1.0, 0.0], [0.0, 4.0]]), (True, [[1.0, 2.0], [3.0, 4.0]])])
def test_gradients_pass_the_mask_when_straight(straight, want):
    made = method(straight=straight)
    finite = {"kernel": jnp.array([[3.0, -1.0], [7.0, 2.0]]), "bias": PARAMS["bias"]}
    factors = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    assert made.view(finite, STATE)["kernel"].tolist() == SEEN
    grads = jax.grad(lambda p: jnp.sum(factors * made.view(p, STATE)["kernel"]))(finite)
    assert grads["kernel"].tolist() == want


def test_zeros_settle_where_more_learns():
    """Later views added 2 everywhere; the wider mask may learn, and the view's zeros come back all the same."""
    later = {"kernel": W + 2, "bias": PARAMS["bias"] + 2}
    wide = method(constrain=lambda flat, state: apply_masks(flat, state.wider))
    assert wide.settle(later, PARAMS, STATE)["kernel"].tolist() == [[5.0, 1.0], [0.0, 4.0]]
    firm = method(constrain=lambda flat, state: apply_masks(flat, state.wider), settles=True)
    settled = firm.settle(later, PARAMS, STATE)
    assert settled["kernel"].tolist() == [[5.0, 0.0], [0.0, 4.0]]
    assert settled["bias"].tolist() == [7.0, 8.0]


def test_masks_may_have_another_name():
    made = method(masks=lambda state: state.wider)
    assert made.view(PARAMS, STATE)["kernel"].tolist() == [[3.0, -1.0], [0.0, 2.0]]
    assert made.encode(PARAMS, STATE)["kernel"].mask.tolist() == WIDER.tolist()


def test_parts_come_first():
    made = method(constrain=None, view=lambda flat, state: {path: -x for path, x in flat.items()}, needs=("rows",))
    assert made.constrain(PARAMS, STATE) is PARAMS
    assert made.view({"kernel": jnp.ones((1, 1))}, STATE)["kernel"].tolist() == [[-1.0]]
    assert made.needs == ("rows",)


def test_restricted_methods_keep_what_was_built():
    params = {"a": {"kernel": W}, "b": {"kernel": W}}
    made = core.only("a/.*", masking("mine", land=True, init=lambda flat: Two({"a/kernel": MASK}, {})))
    state = made.init(params)
    assert made.project(params, state)["a"]["kernel"].tolist() == SEEN
    assert made.project(params, state)["b"]["kernel"].tolist() == W.tolist()


def test_a_step_lands_on_zero():
    """0.5 of the gradient goes off kept weights; the masked 9 lands on 0."""
    params = {"kernel": jnp.array([[3.0, 9.0], [9.0, 2.0]])}
    tx = core.as_optax(method(land=True), optax.sgd(0.5))
    updates, _ = tx.update({"kernel": jnp.ones((2, 2))}, tx.init(params), params)
    assert optax.apply_updates(params, updates)["kernel"].tolist() == [[2.5, 0.0], [0.0, 1.5]]


def test_dense_gradient_shows_one_thing_and_learns_another():
    seen, back = jax.vjp(lambda x: dense_gradient({"a": x}, {"a": x * 0.1})["a"], jnp.array([0.3, 0.7]))
    np.testing.assert_array_equal(seen, jnp.array([0.3, 0.7]) * 0.1)
    assert back(jnp.array([2.0, 3.0]))[0].tolist() == [2.0, 3.0]


def test_zero_is_positive_and_bad_numbers_vanish():
    got = apply_masks(
        {"a": jnp.array([-1.0, jnp.nan, -jnp.inf])}, {"a": jnp.zeros(3, bool), "other": jnp.ones(1, bool)}
    )
    assert got["a"].tolist() == [0.0, 0.0, 0.0]
    assert not np.signbit(got["a"]).any()
    assert apply_masks({"a": jnp.ones(1, jnp.bfloat16)}, {"a": jnp.ones(1, bool)})["a"].dtype == jnp.bfloat16


def test_nodes_shapes_and_whole_masks():
    node = masked_nodes({"kernel": W}, {"kernel": MASK})["kernel"]
    assert node.materialize().tolist() == SEEN
    assert shapes_of({"kernel": W, "one": 1.0 * jnp.arange(3)}) == {"kernel": (2, 2), "one": (3,)}
    assert whole_masks({"kernel": W})["kernel"].tolist() == [[True, True], [True, True]]
