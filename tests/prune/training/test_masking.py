"""The builder of masked methods, against values computed by hand."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

from compressjax import core
from compressjax.prune.training._gradual import GradualState
from compressjax.prune.training._masking import count_and_zero, masked_nodes, masking, shapes_of, whole_masks

W = jnp.array([[3.0, -1.0], [jnp.inf, 2.0]])
MASK = jnp.array([[True, False], [False, True]])
SEEN = [[3.0, 0.0], [0.0, 2.0]]
PARAMS = {"kernel": W, "bias": jnp.array([5.0, 6.0])}
FINITE = {"kernel": jnp.where(MASK, W, 7.0), "bias": PARAMS["bias"]}


class Two(NamedTuple):
    """A state with two sets of masks."""

    masks: dict
    wider: dict


WIDER = jnp.array([[True, True], [False, True]])
STATE = Two({"kernel": MASK}, {"kernel": WIDER})


def method(**parts):
    return masking("mine", init=lambda flat: STATE, **parts)


def test_view_encode_and_gradients_follow_the_mask():
    made = method()
    state = made.init(FINITE)
    with pytest.raises(ValueError, match="mine: 'kernel' has 1 non-finite weights of 4"):
        made.init(PARAMS)
    assert made.name == "mine"
    assert made.view(PARAMS, state)["kernel"].tolist() == SEEN
    assert made.view(PARAMS, state)["bias"].tolist() == [5.0, 6.0]
    node = made.encode(FINITE, state)["kernel"]
    assert node.value.tolist() == SEEN
    assert node.mask.tolist() == MASK.tolist()
    with pytest.raises(ValueError, match="'kernel' has 1 non-finite weights of 4"):
        made.encode(PARAMS, state)
    grads, _ = made.before_step({"kernel": -W, "bias": jnp.ones(2)}, PARAMS, state)
    assert grads["kernel"].tolist() == [[-3.0, 0.0], [0.0, -2.0]]
    assert grads["bias"].tolist() == [1.0, 1.0]
    assert made.after_step(PARAMS, state)[0] is PARAMS


@pytest.mark.parametrize(("learns", "want"), [(False, [[1.0, 0.0], [0.0, 4.0]]), (True, [[1.0, 2.0], [3.0, 4.0]])])
def test_gradients_pass_the_mask_when_it_learns(learns, want):
    made = method(learns=learns)
    finite = {"kernel": jnp.array([[3.0, -1.0], [7.0, 2.0]]), "bias": PARAMS["bias"]}
    factors = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    assert made.view(finite, STATE)["kernel"].tolist() == SEEN
    grads = jax.grad(lambda p: jnp.sum(factors * made.view(p, STATE)["kernel"]))(finite)
    assert grads["kernel"].tolist() == want


def test_masks_may_have_another_name():
    made = method(masks=lambda flat, state: core.Masks(state.wider))
    assert made.view(PARAMS, STATE)["kernel"].tolist() == [[3.0, -1.0], [0.0, 2.0]]
    assert made.encode(FINITE, STATE)["kernel"].mask.tolist() == WIDER.tolist()


def test_parts_come_first():
    made = method(view=lambda flat, state: {path: -x for path, x in flat.items()}, needs=("rows",))
    assert made.view({"kernel": jnp.ones((1, 1))}, STATE)["kernel"].tolist() == [[-1.0]]
    assert made.needs == ("rows",)


def test_a_step_lands_on_zero():
    """Kept weights move by 0.5 of the gradient; the masked 9 becomes 0."""
    params = {"kernel": jnp.array([[3.0, 9.0], [9.0, 2.0]])}
    made = masking(
        "mine",
        init=lambda flat: GradualState(jnp.int32(0), {"kernel": MASK}),
        after_step=count_and_zero,
        learns=True,
    )
    tx = core.as_optax(made, optax.sgd(0.5))
    updates, _ = tx.update({"kernel": jnp.ones((2, 2))}, tx.init(params), params)
    assert optax.apply_updates(params, updates)["kernel"].tolist() == [[2.5, 0.0], [0.0, 1.5]]


def test_nodes_shapes_and_whole_masks():
    node = masked_nodes({"kernel": FINITE["kernel"]}, {"kernel": MASK})["kernel"]
    assert node.materialize().tolist() == SEEN
    assert shapes_of({"kernel": W, "one": 1.0 * jnp.arange(3)}) == {"kernel": (2, 2), "one": (3,)}
    assert whole_masks({"kernel": W})["kernel"].tolist() == [[True, True], [True, True]]
