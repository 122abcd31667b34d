"""as_optax with the optimizers people use: pruned weights never move, and no moment survives under a mask."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, interpret
from tests import helpers, toys

PARAMS = {"a": {"kernel": helpers.array(0, (4, 6)), "bias": helpers.array(1, (6,))}, "k": helpers.array(2, (2, 2))}
KERNEL = {"a": {"kernel": True, "bias": False}, "k": True}
LABELS = jax.tree.map(lambda is_kernel: "kernel" if is_kernel else "other", KERNEL)

OPTIMISERS = {
    "sgd": lambda: optax.sgd(0.1),
    "momentum": lambda: optax.sgd(0.1, momentum=0.9),
    "nesterov": lambda: optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: optax.adam(0.1),
    "adamw": lambda: optax.adamw(0.1, weight_decay=0.5),
    "lion": lambda: optax.lion(0.01, weight_decay=0.5),
    "rmsprop": lambda: optax.rmsprop(0.1, momentum=0.9),
    "adam in bfloat16": lambda: optax.adam(0.1, mu_dtype=jnp.bfloat16),
    "clip and adam": lambda: optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1)),
    "masked decay": lambda: optax.chain(optax.masked(optax.add_decayed_weights(0.5), KERNEL), optax.sgd(0.1)),
    "partition": lambda: optax.partition(
        {"kernel": optax.adamw(0.1, weight_decay=0.5), "other": optax.sgd(0.1, momentum=0.9)}, LABELS
    ),
    "partition, swapped": lambda: optax.partition(
        {"kernel": optax.sgd(0.1, momentum=0.9), "other": optax.adam(0.1)}, LABELS
    ),
    "inject": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=0.1),
    "multi steps": lambda: optax.MultiSteps(optax.adam(0.1), 2).gradient_transformation(),
    "if finite": lambda: optax.apply_if_finite(optax.adam(0.1), 3),
    "average": lambda: optax.chain(optax.adam(0.1), optax.ema(0.9)),
}


def loss(params: Any) -> jax.Array:
    """Pulls every weight, pruned ones included, away from where it is."""
    return sum((jnp.sum((leaf - 3.0) ** 2) for leaf in jax.tree.leaves(params)), jnp.float32(0))


def run(c: core.Compression, optimizer: Any, steps: int = 5, grads: Any = None) -> tuple[Any, Any]:
    tx = core.as_optax(c, optimizer)

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any]:
        gradient = jax.grad(loss)(params) if grads is None else grads
        updates, state = tx.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    params, state = PARAMS, tx.init(PARAMS)
    # The toy's first mask is all true, so that one update is spent on choosing the mask.
    state = state._replace(compression=c.after_step(params, state.compression)[1])
    for _ in range(steps):
        params, state = step(params, state)
    return params, state


def under_the_mask(tree: Any, like: Any, mask: jax.Array) -> list[np.ndarray]:
    """Entries, at pruned places, of every array of the optimizer's state that has the kernel's shape."""
    del like
    return [np.asarray(x)[~np.asarray(mask)] for x in jax.tree.leaves(tree) if getattr(x, "shape", None) == mask.shape]


def frozen_mask() -> core.Compression:
    """A mask that stays what its first update made it."""
    c = toys.mask(0.5)

    def after_step(params: Any, state: Any, stats: Any = None) -> Any:
        _, fresh = c.after_step(params, state, stats)
        return params, jax.tree.map(lambda old, new: jnp.where(old.all(), new, old), state, fresh)

    return c._replace(after_step=after_step)


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.loose
def test_pruned_weights_never_move(name: str) -> None:
    c = frozen_mask()
    params, state = run(c, OPTIMISERS[name]())
    for path, mask in state.compression.mask.items():
        before, after = (np.asarray(core.values(tree)[path]) for tree in (PARAMS, params))
        mask = np.asarray(mask)
        assert 0 < mask.sum() < mask.size
        assert helpers.same_bits(after[~mask], before[~mask])
        assert (after[mask] != before[mask]).all()
    assert (params["a"]["bias"] != PARAMS["a"]["bias"]).all()
    for kept in under_the_mask(state.inner, params, state.compression.mask["a/kernel"]):
        assert not kept.any()


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ["momentum", "adam", "partition", "multi steps", "if finite"])
@pytest.mark.loose
def test_moments_are_there_to_be_masked(name: str) -> None:
    """The test above would pass on an empty list; without the masks these moments are not zero."""
    c = frozen_mask()
    free = c._replace(masks=lambda p, s: core.Masks(), before_step=lambda g, p, s, slopes=None: (g, s))
    _, state = run(free, OPTIMISERS[name]())
    kept = under_the_mask(state.inner, None, state.compression.mask["a/kernel"])
    assert kept
    assert any(x.any() for x in kept)


@pytest.mark.parametrize("name", ["adamw", "partition", "inject", "multi steps"])
@pytest.mark.loose
def test_identity_changes_no_optimizer(name: str) -> None:
    params, state = run(core.identity(), OPTIMISERS[name]())
    plain, plain_state = PARAMS, OPTIMISERS[name]().init(PARAMS)

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any]:
        updates, state = OPTIMISERS[name]().update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(5):
        plain, plain_state = step(plain, plain_state)
    for a, b in zip(jax.tree.leaves((params, state.inner)), jax.tree.leaves((plain, plain_state)), strict=True):
        np.testing.assert_allclose(helpers.float64(a), helpers.float64(b), rtol=1e-6, atol=1e-7)


def test_moments_are_dropped_when_a_weight_is_pruned() -> None:
    """A mask that shrinks clears the moments it uncovers before the optimizer uses them again."""
    tx = core.as_optax(frozen_mask(), optax.sgd(0.1, momentum=0.9))
    state = tx.init(PARAMS)
    _, state = tx.update(jax.tree.map(jnp.ones_like, PARAMS), state, PARAMS)
    mask = np.asarray(state.compression.mask["a/kernel"])
    _, state = tx.update(jax.tree.map(jnp.zeros_like, PARAMS), state, PARAMS)
    trace = next(x for x in jax.tree.leaves(state.inner) if x.shape == (4, 6))
    np.testing.assert_allclose(trace, np.where(mask, np.float32(0.9), 0), rtol=1e-6)


@pytest.mark.parametrize(("where", "bad"), [("bias", jnp.nan), ("kernel", jnp.inf)])
def test_if_finite_skips_a_bad_step(bad: float, where: str) -> None:
    """One bad gradient, in a bias that no method selects or in a kernel: nothing moves, the count rises."""
    grads = jax.tree.map(jnp.ones_like, PARAMS)
    largest = np.unravel_index(np.argmax(np.abs(PARAMS["a"][where])), PARAMS["a"][where].shape)
    grads["a"][where] = grads["a"][where].at[largest].set(bad)
    params, state = run(frozen_mask(), optax.apply_if_finite(optax.adam(0.1), 3), steps=2, grads=grads)
    assert helpers.difference(params, PARAMS) == ""
    assert int(state.inner.notfinite_count) == 2
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.inner.inner_state))


def test_a_bad_gradient_of_a_pruned_weight_is_nothing() -> None:
    """Where no weight can move, infinity times zero must not poison the step of the others."""
    smallest = np.unravel_index(np.argmin(np.abs(PARAMS["a"]["kernel"])), (4, 6))
    grads = jax.tree.map(jnp.ones_like, PARAMS)
    grads["a"]["kernel"] = grads["a"]["kernel"].at[smallest].set(jnp.inf)
    params, state = run(frozen_mask(), optax.apply_if_finite(optax.adam(0.1), 3), steps=2, grads=grads)
    assert int(state.inner.notfinite_count) == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_hyperparameters_stay_reachable() -> None:
    tx = core.as_optax(toys.mask(), optax.inject_hyperparams(optax.sgd)(learning_rate=0.5))
    state = tx.init({"kernel": jnp.ones((2, 2))})
    state.inner.hyperparams["learning_rate"] = jnp.float32(0.0)
    updates, _ = tx.update({"kernel": jnp.ones((2, 2))}, state, {"kernel": jnp.ones((2, 2))})
    np.testing.assert_array_equal(updates["kernel"], np.zeros((2, 2)))


def test_extra_arguments_reach_the_optimizer_and_the_method() -> None:
    seen = {}

    def update(updates: Any, state: Any, params: Any = None, *, value: Any) -> Any:
        seen["value"] = value
        return updates, state

    optimizer = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    c = toys.weighted()
    tx = core.as_optax(c, optimizer)
    params = {"kernel": jnp.ones((2, 2))}
    _, state = tx.update(params, tx.init(params), params, stats={"kernel": {"norm": jnp.ones(2)}}, value=3.0)
    assert seen == {"value": 3.0}
    assert list(state.compression) == ["kernel"]
    with pytest.raises(ValueError, match="run observe"):
        tx.update(params, tx.init(params), params, value=3.0)


def test_update_needs_params() -> None:
    tx = core.as_optax(toys.mask(), optax.sgd(0.1))
    with pytest.raises(ValueError, match="update needs params="):
        tx.update(PARAMS, tx.init(PARAMS))


def test_it_can_be_used_inside_optax() -> None:
    """as_optax is itself a transformation: in a chain, and within a partition beside others."""
    params = {"kernel": helpers.array(0, (4, 4)), "bias": jnp.ones(4)}
    for tx in (
        optax.chain(core.as_optax(frozen_mask(), optax.adam(0.1)), optax.scale(0.5)),
        optax.partition(
            {"k": core.as_optax(frozen_mask(), optax.adam(0.1)), "b": optax.sgd(0.1)}, {"kernel": "k", "bias": "b"}
        ),
    ):
        state = tx.init(params)
        moved = params
        for i in range(3):
            updates, state = tx.update(jax.tree.map(jnp.ones_like, params), state, moved)
            moved = optax.apply_updates(moved, updates)
            if i == 0:
                first = moved
        still = np.asarray(moved["kernel"] == first["kernel"])
        assert still.sum() == 8
        assert (moved["bias"] != params["bias"]).all()


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.loose
def test_what_is_dropped_lands_on_zero(name: str) -> None:
    """Dropped weights are exactly zero after apply_updates, whatever the optimizer adds; others are its own."""
    c = toys.learner(rate=0.3)
    tx = core.as_optax(c, OPTIMISERS[name]())

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any]:
        grads = jax.grad(lambda p: loss(c.view(p, state.compression)))(params)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    params, state = PARAMS, tx.init(PARAMS)
    for _ in range(4):
        params, state = step(params, state)
        for path, score in state.compression.score.items():
            dropped = np.asarray(score) <= 0
            values = np.asarray(core.values(params)[path])
            assert (values[dropped] == 0).all()
            assert (values[~dropped] != 0).all()
    assert 0 < dropped.sum() < dropped.size


def test_a_learner_that_moves_nothing_leaves_the_updates_alone() -> None:
    plain, learner = (run(x, optax.adam(0.1)) for x in (toys.mask(0.5), toys.mask(0.5)._replace(learns=True)))
    assert helpers.difference(plain[0], learner[0]) == ""


def test_the_method_sees_parameters_before_the_step_and_after_it() -> None:
    seen: dict[str, Any] = {}

    def before_step(grads: Any, flat: Any, state: Any) -> tuple[Any, Any]:
        seen["before"] = flat["k"]
        return {path: 2 * g for path, g in grads.items()}, state + 1

    def after_step(flat: Any, state: Any, stats: Any) -> Any:
        seen.update(after=flat["k"], state=state)
        return flat, state

    c = core.on_values(
        "spy", encode=lambda flat, s: flat, init=lambda flat: 0, before_step=before_step, after_step=after_step
    )
    params = {"k": jnp.ones((1, 1))}
    tx = core.as_optax(c, optax.sgd(1.0))
    updates, state = tx.update({"k": jnp.full((1, 1), 3.0)}, tx.init(params), params)
    assert updates["k"].item() == -6.0
    assert [seen["before"].item(), seen["after"].item(), seen["state"]] == [1.0, -5.0, 1]
    assert state.compression == 1


def test_ranges_learn_through_lift() -> None:
    """Training through nodes: weights learn by the optimizer, ranges of the view's nodes by their slopes."""
    c = core.chain(toys.mask(0.5), core.only("a/kernel", toys.ranged(0.1, rate=0.5)))
    tx = core.as_optax(c, optax.sgd(0.05))
    x = helpers.array(7, (32, 4))
    # The range that fits is 1.
    goal = jnp.clip(x, -1, 1) @ PARAMS["a"]["kernel"]

    def fit(params: Any, x: jax.Array) -> jax.Array:
        return jnp.mean((x @ params["a"]["kernel"] - goal) ** 2)

    def loss(params: Any, state: Any) -> jax.Array:
        return interpret.lift(fit, on_fallback="raise")(c.view(params, state), x)

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any, jax.Array]:
        error, (grads, slopes) = jax.value_and_grad(loss, (0, 1), allow_int=True)(params, state.compression)
        updates, state = tx.update(grads, state, params, slopes=slopes)
        return optax.apply_updates(params, updates), state, error

    params, state, errors = PARAMS, tx.init(PARAMS), []
    for _ in range(60):
        params, state, error = step(params, state)
        errors.append(float(error))
    assert errors[-1] < 0.1 * errors[0]
    assert abs(state.compression.states[1].range["a/kernel"] - 1.0) < 0.02
    viewed, stored = c.view(params, state.compression), c.encode(params, state.compression)
    assert helpers.difference(core.materialize(viewed), core.materialize(stored)) == ""
    # Under its mask, the stored node rounds activations too.
    assert isinstance(stored["a"]["kernel"].value, toys.Ranged)
    np.testing.assert_allclose(interpret.lift(fit)(stored, x), interpret.lift(fit)(viewed, x), rtol=1e-6)
