"""on_values, from_encode, identity, acts_on: whole trees in, selected values changed, the rest untouched."""

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, lift, prune, quant, share, tensors
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
    state = c.after_step(PARAMS, c.init(PARAMS))[1]
    for out in (c.view(PARAMS, state), c.encode(PARAMS, state)):
        assert out["a"]["kernel"] is PARAMS["a"]["kernel"]
        assert out["b"]["bias"] is PARAMS["b"]["bias"]
        assert out["step"] is PARAMS["step"]
    assert isinstance(c.encode(PARAMS, state)["b"]["kernel"], tensors.Masked)
    assert int((c.view(PARAMS, state)["b"]["kernel"] == 0).sum()) == 6


def test_the_contract_is_small() -> None:
    assert len(core.Compression._fields) <= 9


def test_after_step_sees_selected_values_and_statistics() -> None:
    seen: dict[str, Any] = {}

    def after_step(flat: Any, state: Any, stats: Any) -> Any:
        seen.update(flat=flat, stats=stats)
        return {path: 2 * x for path, x in flat.items()}, state

    c = core.on_values("spy", encode=lambda flat, state: flat, after_step=after_step, select="a/kernel", learns=True)
    moved, _ = c.after_step(PARAMS, c.init(PARAMS), {"a/kernel": "statistics"})
    assert (list(seen["flat"]), seen["stats"]) == (["a/kernel"], {"a/kernel": "statistics"})
    np.testing.assert_array_equal(moved["a"]["kernel"], 2 * PARAMS["a"]["kernel"])
    assert moved["b"]["kernel"] is PARAMS["b"]["kernel"]
    c.after_step(PARAMS, c.init(PARAMS))
    assert seen["stats"] is None


def test_from_encode_views_what_it_stores_with_straight_gradients() -> None:
    c = toys.grid()
    state = c.after_step(PARAMS, c.init(PARAMS))[1]
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
    state = c.after_step(PARAMS, c.init(PARAMS), stats)[1]
    out = c.encode(PARAMS, state)
    np.testing.assert_array_equal(
        out["a"]["kernel"], np.arange(4, dtype=np.float32)[:, None] * np.asarray(PARAMS["a"]["kernel"])
    )
    for absent in (None, {}, {"a/kernel": stats["a/kernel"]}):
        with pytest.raises(ValueError, match=r"toy.*|<lambda>.*") as error:
            c.after_step(PARAMS, c.init(PARAMS), absent)
        assert "b/kernel" in str(error.value)
        assert "run observe" in str(error.value) or "observed" in str(error.value)


def test_identity_is_the_identity() -> None:
    c = core.identity()
    state = c.after_step(PARAMS, c.init(PARAMS))[1]
    assert helpers.difference(c.view(PARAMS, state), PARAMS) == ""
    assert helpers.difference(c.encode(PARAMS, state), PARAMS) == ""
    assert core.acts_on(c, PARAMS, state) == ()
    with pytest.raises(ValueError, match="selects nothing"):
        core.only("z", c).init(PARAMS)


def test_masks_say_what_is_used_and_gradients_follow_them() -> None:
    c = toys.mask(0.25)
    state = c.after_step(PARAMS, c.init(PARAMS))[1]
    masks = c.masks(PARAMS, state)
    assert list(masks.used) == ["a/kernel", "b/kernel"]
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    received, after = c.before_step(ones, PARAMS, state)
    assert helpers.difference(received, core.zero_masked(ones, masks.used)) == ""
    assert int(received["a"]["kernel"].sum()) == 6
    assert after is state
    assert c.after_step(PARAMS, state)[0] is PARAMS


def test_a_learner_gets_the_dense_gradient_and_moves_what_it_dropped() -> None:
    c = core.only("a/kernel", toys.learner(rate=1.0))
    state = c.init(PARAMS)
    grads = jax.tree.map(lambda x: 3.0 * x, PARAMS)
    received, after = c.before_step(grads, PARAMS, state)
    kernel = PARAMS["a"]["kernel"]
    assert list(after.score) == ["a/kernel"]
    np.testing.assert_allclose(after.score["a/kernel"], 1 - 3.0 * kernel**2, rtol=1e-6)
    assert helpers.difference(received, grads) == ""
    weight = helpers.array(5, (4, 6))
    dense = jax.grad(lambda p: (weight * c.view(p, after)["a"]["kernel"]).sum(), allow_int=True)(PARAMS)
    assert helpers.same_bits(dense["a"]["kernel"], weight)
    moved, _ = c.after_step(PARAMS, after)
    np.testing.assert_array_equal(moved["a"]["kernel"], np.where(after.score["a/kernel"] > 0, kernel, 0))
    assert moved["b"]["kernel"] is PARAMS["b"]["kernel"]


def test_what_a_compression_acts_on_follows_from_what_it_stores() -> None:
    for make, inside in ((toys.mask, {"a/kernel", "b/kernel"}), (toys.grid, {"a/kernel", "b/kernel"})):
        assert set(core.acts_on(make(), PARAMS, make().init(PARAMS))) == inside
    tree = core.compress(PARAMS, {"a/kernel": toys.factor()}, on_unchanged="ignore")
    grid = core.on_values("half", encode=toys.grid().encode, select=".*left")
    assert core.acts_on(grid, tree, ()) == ("a/kernel/left",)
    masked = core.compress(PARAMS, {"a/kernel": toys.mask()})
    assert core.acts_on(core.only("a/kernel", toys.grid()), masked, ()) == ("a/kernel",)
    assert core.acts_on(core.only("a/kernel", toys.grid()), jax.eval_shape(lambda t: t, masked), ()) == ("a/kernel",)


def test_slopes_reach_the_methods_that_learn_by_them() -> None:
    """A view of nodes whose ranges lie in the state: the gradient with respect to the state moves them."""
    c = core.chain(core.only("b/.*", toys.mask()), core.partition({"a/kernel": toys.ranged(0.5, rate=0.1)}))
    params, x = {name: PARAMS[name] for name in "ab"}, jnp.array([[0.2, 3.0, -4.0, 0.1]])
    state = c.after_step(params, c.init(params))[1]
    layer = lift(lambda p: jnp.sum(x @ p["a"]["kernel"]))
    grads, slopes = jax.grad(lambda p, s: layer(c.view(p, s)), (0, 1), allow_int=True)(params, state)
    received, after = c.before_step(grads, params, state, slopes)
    # Two inputs are cut, at 0.5 and -0.5.
    slope = params["a"]["kernel"][1].sum() - params["a"]["kernel"][2].sum()
    np.testing.assert_allclose(after.states[1].range["a/kernel"], 0.5 - 0.1 * slope, rtol=1e-5)
    assert helpers.difference(received, grads) == ""
    assert c.before_step(grads, params, state)[1].states[1] is state.states[1]


def _calls(f: Callable[[], Any]) -> int:
    """Calls of our own functions."""
    found = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal found
        found += event == "call" and "compressjax" in frame.f_code.co_filename

    sys.setprofile(count)
    try:
        f()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.turns(3)
@pytest.mark.parametrize("make", [
    lambda: core.chain(prune.gradual(0.5, end=3), quant.fake_quant(4)),
    lambda: core.sequence(prune.movement(0.5, end=3), quant.rtn(4)),
    lambda: core.partition({".*kernel": prune.proximal_l1(0.1), ".*bias": share.kmeans(2)}),
], ids=["chain", "sequence", "partition"])  # fmt: skip
def test_tracing_is_linear_in_leaves(make: Callable[[], core.Compression]) -> None:
    """Four times the leaves take four times the calls; a lookup that walks the tree for every leaf takes sixteen."""
    counts = []
    for leaves in (4, 16):
        params = {str(i): {"kernel": jnp.ones((4, 2)), "bias": jnp.ones(2)} for i in range(leaves)}
        c = make()
        tx = core.as_optax(c, optax.sgd(0.1))
        state = jax.eval_shape(tx.init, params)

        def step(params: Any, state: Any, c: Any = c, tx: Any = tx) -> Any:
            return (
                tx.update(params, state, params),
                c.view(params, state.compression),
                c.encode(params, state.compression),
            )

        counts.append(_calls(lambda step=step, params=params, state=state: jax.eval_shape(step, params, state)))
    assert counts[1] < 4.4 * counts[0]
