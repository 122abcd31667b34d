"""chain and sequence: views that equal what is stored, masks that survive, refusals that say what to do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from tests import helpers, toys

PARAMS = {"a": {"kernel": helpers.array(0, (4, 6)), "bias": helpers.array(1, (6,))}, "k": helpers.array(2, (2, 2))}


def settled(c: core.Compression) -> tuple[core.Compression, object]:
    return c, c.after_step(PARAMS, c.init(PARAMS))[1]


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    "make",
    [
        lambda: core.chain(toys.mask(), toys.grid()),
        lambda: core.chain(core.identity(), toys.mask()),
        lambda: core.chain(toys.mask(), core.identity()),
        lambda: core.chain(toys.mask(0.7), toys.mask(0.3), toys.grid()),
        lambda: core.sequence(toys.mask(), toys.grid()),
        lambda: core.sequence(toys.factor(), toys.grid()),
        lambda: core.sequence(toys.factor(), core.chain(toys.mask(), toys.grid())),
        lambda: core.chain(toys.mask(), core.sequence(toys.mask(), toys.grid())),
        lambda: core.chain(core.only("a/.*", toys.mask()), core.only("k", toys.factor())),
    ],
)
def test_what_you_train_is_what_you_ship(make) -> None:
    c, state = settled(make())
    assert helpers.difference(c.view(PARAMS, state), core.materialize(c.encode(PARAMS, state))) == ""
    assert helpers.difference(jax.jit(c.view)(PARAMS, state), c.view(PARAMS, state)) == ""


def test_chain_views_fold_from_left_to_right() -> None:
    """A mask of the rounded weights, by hand."""
    c, state = settled(core.chain(toys.mask(0.5), toys.grid(0.25)))
    x = np.asarray(PARAMS["a"]["kernel"])
    kept = np.abs(x) >= np.sort(np.abs(x).ravel())[-12]
    np.testing.assert_array_equal(c.view(PARAMS, state)["a"]["kernel"], np.where(kept, np.round(4 * x) / 4, 0))
    node = c.encode(PARAMS, state)["a"]["kernel"]
    assert isinstance(node, tensors.Masked)
    assert isinstance(node.value, tensors.Quantized)


def test_chain_updates_see_earlier_views() -> None:
    """The second mask ranks what the first has left: with a tenth kept by the first, it keeps no zeros of it."""
    _, state = settled(core.chain(toys.mask(0.25), toys.mask(0.25)))
    first, second = (s.mask["a/kernel"] for s in state.states)
    np.testing.assert_array_equal(first, second)


def test_chain_masks_last() -> None:
    """A later view that fills pruned entries (here: adds one) does not disturb the mask."""
    shift = core.on_values(
        "shift",
        view=lambda flat, state: {path: x + 1 for path, x in flat.items()},
        encode=lambda flat, state: {path: x + 1 for path, x in flat.items()},
    )
    c, state = settled(core.chain(toys.mask(0.5), shift))
    view = np.asarray(c.view(PARAMS, state)["a"]["kernel"])
    mask = np.asarray(state.states[0].mask["a/kernel"])
    np.testing.assert_array_equal(view, np.where(mask, np.asarray(PARAMS["a"]["kernel"]) + 1, 0))
    assert helpers.difference(c.view(PARAMS, state), core.materialize(c.encode(PARAMS, state))) == ""


def test_chain_masks_by_all() -> None:
    c, state = settled(core.chain(core.only("a/.*", toys.mask()), core.only("k", toys.mask()), toys.mask(0.25)))
    used = c.masks(PARAMS, state).used
    assert {path: int(mask.sum()) for path, mask in used.items()} == {"a/bias": 3, "a/kernel": 6, "k": 1}


@pytest.mark.parametrize("second", [toys.mask, toys.grid])
def test_chain_refuses_what_has_lost_its_values(second) -> None:
    c = core.chain(toys.factor(), second())
    with pytest.raises(ValueError, match=r"acts on \['a/kernel', 'k'\], but after toy.factor .* or use sequence"):
        c.init(PARAMS)
    with pytest.raises(ValueError, match="use sequence"):
        jax.eval_shape(c.init, PARAMS)


def test_chain_refuses_shapes_that_follow_from_values() -> None:
    """Rank by energy depends on the data, so a stage behind it cannot be set up; alone or last it works."""

    def cut(path: str, x: jax.Array, stats: object) -> jax.Array:
        return tensors.LowRank(x[:, : int(x[0, 0] > 0) + 1], x[: int(x[0, 0] > 0) + 1])

    energy = core.from_encode("energy", cut)
    with pytest.raises(ValueError, match=r"use sequence\(energy, toy.mask\)"):
        core.chain(energy, toys.mask()).init(PARAMS)
    core.chain(core.only("a/.*", toys.mask()), core.only("k", energy)).init(PARAMS)


def test_names_needs_and_what_is_acted_on() -> None:
    c = core.chain(toys.mask(), core.only("a/bias", toys.grid()), toys.weighted())
    assert c.name == "chain(toy.mask, toy.grid, toy.weighted)"
    assert c.needs == ("norm",)
    both = core.chain(toys.mask(), core.only("a/bias", toys.grid()))
    assert core.acts_on(both, PARAMS, both.init(PARAMS)) == ("a/bias", "a/kernel", "k")
    s = core.sequence(toys.weighted(), toys.grid())
    assert (s.name, s.needs) == ("sequence(toy.weighted, toy.grid)", ("norm",))


def test_choosing_for_combinations() -> None:
    for c in (core.chain(toys.mask(), toys.grid()), core.sequence(toys.factor(), toys.grid())):
        part, state = settled(core.only("a/.*", c))
        tree = part.encode(PARAMS, state)
        assert core.is_node(tree["a"]["kernel"])
        assert tree["k"] is PARAMS["k"]
        with pytest.raises(ValueError, match="selects nothing"):
            core.only("z", c).init(PARAMS)


def test_sequence_works_on_the_values_inside() -> None:
    c, state = settled(core.sequence(toys.factor(), toys.mask(0.5)))
    assert list(state.second.mask) == ["a/kernel/left", "a/kernel/right", "k/left", "k/right"]
    node = c.encode(PARAMS, state)["a"]["kernel"]
    assert isinstance(node, tensors.LowRank)
    assert isinstance(node.left, tensors.Masked)
    assert int(node.left.mask.sum()) == 12
    gradient = jax.grad(lambda p: c.view(p, state)["a"]["kernel"].sum())(PARAMS)
    assert gradient["a"]["kernel"].shape == (4, 6)


def test_sequence_refuses_a_second_phase_with_nothing_to_do() -> None:
    with pytest.raises(ValueError, match=r"toy.mask: .* selects nothing"):
        core.sequence(toys.grid(), toys.mask()).init({"kernel": PARAMS["k"]})


def test_chain_steps_back_at_what_each_view_saw_and_moves_the_dense_parameters() -> None:
    seen = []

    def spy(name: str) -> core.Compression:
        def before_step(grads, flat, state):
            seen.append((name, float(grads["k"][0, 0]), float(flat["k"][0, 0])))
            return {path: g + 1 for path, g in grads.items()}, state + 1

        def view(flat, state):
            return {path: 2 * x for path, x in flat.items()}

        return core.on_values(
            name, encode=view, view=view, init=lambda flat: 0, before_step=before_step, learns=True,
            after_step=lambda flat, state, stats: ({path: 10 * x + state for path, x in flat.items()}, state),
        )  # fmt: skip

    params = {"k": jnp.full((1, 1), 3.0)}
    c = core.chain(spy("a"), core.identity(), spy("b"))
    grads, state = c.before_step({"k": jnp.zeros((1, 1))}, params, c.init(params))
    assert seen == [("b", 0.0, 6.0), ("a", 1.0, 3.0)]
    assert grads["k"].item() == 2.0
    assert state.states == (1, (), 1)
    assert c.after_step(params, core.ChainState((1, (), 2)))[0]["k"].item() == 312.0
    assert core.only("k", c).after_step(params, core.ChainState((1, (), 2)))[0]["k"].item() == 312.0


def test_masks_and_grids_do_not_learn() -> None:
    for c in (core.chain(toys.mask(), toys.grid()), core.sequence(toys.mask(), toys.grid())):
        assert not c.learns
        assert c.after_step(PARAMS, c.init(PARAMS))[0] is PARAMS


def test_masks_on_values_under_their_own_paths_hold_in_a_sequence() -> None:
    """A second phase of masks on a first that leaves paths as they are: what it masks gets no gradient."""
    c, state = settled(core.sequence(toys.mask(0.75), toys.mask(0.5)))
    received, _ = c.before_step(jax.tree.map(jnp.ones_like, PARAMS), PARAMS, state)
    assert int(received["a"]["kernel"].sum()) == 12
    inner, state = settled(core.sequence(toys.factor(), toys.mask(0.5)))
    assert inner.masks(PARAMS, state) == core.Masks({}, {})


@pytest.mark.parametrize("combine", [core.chain, core.sequence])
@pytest.mark.parametrize("parts", [(toys.learner, toys.grid), (core.identity, toys.learner)])
def test_a_learner_gets_the_dense_gradient_beside_others(combine, parts) -> None:
    """The projection that ends a chain, and the encoding that starts a sequence, must not cut it."""
    c = combine(*(part() for part in parts))
    state = c.init(PARAMS)
    flip = lambda leaf: jnp.where(jnp.arange(leaf.size).reshape(leaf.shape) % 2, leaf, -leaf)  # noqa: E731
    state = jax.tree.map(flip, state)
    weight = helpers.array(5, (4, 6))
    grad = jax.grad(lambda p: (weight * c.view(p, state)["a"]["kernel"]).sum())(PARAMS)["a"]["kernel"]
    np.testing.assert_array_equal(grad, weight)
    assert helpers.difference(c.view(PARAMS, state), core.materialize(c.encode(PARAMS, state))) == ""
    received, _ = c.before_step({**PARAMS, "a": {**PARAMS["a"], "kernel": weight}}, PARAMS, state)
    assert np.count_nonzero(received["a"]["kernel"]) == 12


def test_a_learner_inside_factors_is_refused() -> None:
    c = core.sequence(toys.factor(), toys.learner())
    with pytest.raises(ValueError, match=r"toy.learner learns from gradients, and \['a/kernel/left'.*as_optax"):
        c.init(PARAMS)
    shrink = core.on_values("shrink", encode=lambda flat, state: flat, learns=True)
    with pytest.raises(ValueError, match=r"shrink learns from gradients, and \['a/kernel/left'"):
        core.sequence(toys.factor(), shrink).init(PARAMS)


def test_zeros_come_back_where_unused_weights_learn() -> None:
    """A method that uses some weights and trains all: its zeros end the chain, and all get the gradient."""
    mask = toys.mask(0.5)

    def view(params, state):
        return core.dense_gradient(params, mask.view(params, state))

    loose = mask._replace(view=view, masks=lambda p, s: mask.masks(p, s)._replace(trained={}), learns=True)
    shift = core.on_values(
        "shift",
        view=lambda flat, state: {path: x + 1 for path, x in flat.items()},
        encode=lambda flat, state: {path: x + 1 for path, x in flat.items()},
    )
    for c in (core.chain(loose, shift), core.chain(core.chain(core.identity(), loose), shift)):
        state = c.after_step(PARAMS, c.init(PARAMS))[1]
        assert helpers.difference(c.view(PARAMS, state), core.materialize(c.encode(PARAMS, state))) == ""
        assert int((c.view(PARAMS, state)["a"]["kernel"] == 0).sum()) == 12
        assert not c.masks(PARAMS, state).moving
        grad = jax.grad(lambda p: c.view(p, state)["a"]["kernel"].sum())(PARAMS)["a"]["kernel"]  # noqa: B023
        np.testing.assert_array_equal(grad, np.ones((4, 6)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: core.chain(toys.mask(), toys.ranged()),
        lambda: core.chain(core.only("k", toys.ranged()), core.only("a/.*", toys.grid())),
        lambda: core.sequence(toys.mask(), toys.ranged()),
        lambda: core.sequence(core.identity(), toys.ranged()),
    ],
)
def test_nodes_of_a_view_stay_and_are_what_is_stored(make) -> None:
    c, state = settled(make())
    viewed, stored = c.view(PARAMS, state), c.encode(PARAMS, state)
    assert any(
        isinstance(x, toys.Ranged) or isinstance(getattr(x, "value", 0), toys.Ranged)
        for x in core.nodes(viewed).values()
    )
    assert helpers.difference(core.materialize(viewed), core.materialize(stored)) == ""


def test_what_acts_on_viewed_nodes_is_refused() -> None:
    shift = core.on_values(
        "shift",
        view=lambda flat, state: {path: x + 1 for path, x in flat.items()},
        encode=lambda flat, state: {path: x + 1 for path, x in flat.items()},
    )
    with pytest.raises(ValueError, match=r"shift acts on \['a/kernel', 'k'\], which an earlier stage views as nodes"):
        core.chain(toys.grid()._replace(view=toys.grid().encode, encode=lambda params, state: params), shift).init(
            PARAMS
        )
    c = core.sequence(toys.learner(), toys.ranged())
    state = c.init(PARAMS)
    with pytest.raises(ValueError, match="toy.learner learns from the dense gradient, but"):
        c.view(PARAMS, state)


@pytest.mark.parametrize("combine", [core.chain, core.sequence])
def test_later_stages_view_and_encode_inside_of_nodes(combine) -> None:
    """Where an earlier stage views nodes that hold the kernel entry by entry."""
    first = toys.ranged()._replace(learns=combine is core.chain)
    c, state = settled(combine(first, core.only(".*kernel", toys.grid())))
    viewed, stored = (core.nodes(tree(PARAMS, state))["a/kernel"] for tree in (c.view, c.encode))
    assert isinstance(viewed, toys.Ranged)
    assert isinstance(stored.value, tensors.Quantized)
    assert helpers.same_bits(viewed.value, stored.value.materialize())
    to_kernel = jax.grad(lambda p: c.view(p, state)["a"]["kernel"].materialize().sum())(PARAMS)["a"]["kernel"]
    np.testing.assert_array_equal(to_kernel, jnp.ones_like(to_kernel))


@pytest.mark.parametrize("aligned", [True, False])
def test_zeros_come_back_into_nodes(aligned: bool) -> None:
    """Into those that hold the kernel entry by entry; others get the mask's own node around them."""
    later = toys.ranged() if aligned else toys.grid()._replace(view=toys.grid().encode)
    c, state = settled(core.chain(toys.mask(), later))
    node = c.view(PARAMS, state)["a"]["kernel"]
    assert isinstance(node, toys.Ranged if aligned else tensors.Masked)
    assert helpers.difference(core.materialize(c.view(PARAMS, state)), core.materialize(c.encode(PARAMS, state))) == ""
    learner, state = (
        settled(core.chain(toys.learner(), later)) if aligned else (core.chain(toys.learner(), later), None)
    )
    if aligned:
        assert isinstance(learner.view(PARAMS, state)["a"]["kernel"], toys.Ranged)
    else:
        state = learner.init(PARAMS)
        with pytest.raises(ValueError, match="toy.learner learns from the dense gradient, but"):
            learner.view(PARAMS, state)
