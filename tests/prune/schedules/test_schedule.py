"""Schedules against closed forms, optax, and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import prune

STEPS = jnp.arange(0, 140)


def between(first, last):
    return np.clip((np.asarray(STEPS) - first) / (last - first), 0, 1)


def test_polynomials_equal_optax():
    for schedule, power in ((prune.schedules.linear, 1), (prune.schedules.cubic, 3)):
        got = jax.jit(schedule(0.9, begin=20, end=100, initial=0.3))(STEPS)
        theirs = jax.vmap(optax.polynomial_schedule(0.3, 0.9, power, 80, 20))(STEPS)
        np.testing.assert_allclose(got, np.where(STEPS < 20, 0.0, theirs), atol=1e-6)


def test_cubic_values_by_hand():
    got = prune.schedules.cubic(0.9, begin=100, end=200, initial=0.5)(jnp.array([99, 100, 150, 200, 999]))
    np.testing.assert_allclose(got, [0.0, 0.5, 0.9 - 0.4 / 8, 0.9, 0.9], rtol=1e-6)


def test_a_schedule_without_length_jumps():
    assert prune.schedules.cubic(0.5, begin=5, end=5)(jnp.array([4, 5])).tolist() == [0.0, 0.5]


def test_bad_settings_of_a_polynomial():
    with pytest.raises(ValueError, match="before it begins at 5"):
        prune.schedules.polynomial(0.5, begin=5, end=4)
    with pytest.raises(ValueError, match="power=0"):
        prune.schedules.polynomial(0.5, end=4, power=0)


def test_exponential_removes_the_same_share_at_every_step():
    left = 1 - np.asarray(prune.schedules.exponential(0.96, begin=20, end=100, initial=0.2)(STEPS), np.float64)
    np.testing.assert_allclose(left[20:], 0.8 * (0.04 / 0.8) ** between(20, 100)[20:], rtol=1e-4)
    np.testing.assert_allclose(left[:20], 1)
    assert prune.schedules.exponential(0.0, end=10)(STEPS).max() == 0


def test_iterative_is_a_stair_of_equal_shares():
    schedule = prune.schedules.iterative(0.99, rounds=5, begin=10, end=90)
    left = 1 - np.asarray(schedule(STEPS), np.float64)
    assert schedule.every == 20
    for k in range(5):
        np.testing.assert_allclose(left[10 + 20 * k : 10 + 20 * (k + 1)], 0.01 ** ((k + 1) / 5), rtol=1e-3)
    np.testing.assert_allclose(left[90:], 0.01, rtol=1e-4)
    assert prune.schedules.iterative(0.5, rounds=1, begin=3, end=3)(jnp.arange(5)).tolist() == [0, 0, 0, 0.5, 0.5]


def test_periodic_rises_from_the_start_every_time():
    got = np.asarray(prune.schedules.periodic(0.8, periods=4, begin=20, end=100, initial=0.1)(STEPS))
    period = prune.schedules.cubic(0.8, end=19, initial=0.1)(jnp.arange(20))
    np.testing.assert_allclose(got[20:100], np.tile(period, 4), atol=1e-6)
    np.testing.assert_allclose(got[100:], 0.8)


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    "schedule",
    [
        prune.schedules.linear(0.9, begin=2, end=8, initial=0.2),
        prune.schedules.exponential(0.9, begin=2, end=8),
        prune.schedules.at_once(0.9, at=4),
        prune.schedules.iterative(0.9, rounds=4, begin=2, end=8),
    ],
    ids=lambda s: s.name,
)
def test_gradual_follows_any_schedule(schedule):
    method = prune.gradual(schedule, every=schedule.every or 1)
    params = {"kernel": jax.random.normal(jax.random.key(0), (20, 50))}
    state, kept = method.init(params), []
    for _ in range(10):
        kept.append(int(state.masks["kernel"].sum()))
        state = jax.jit(method.after_step)(params, state)[1]
    np.testing.assert_allclose(kept, 1000 * (1 - schedule(jnp.arange(10))), atol=1)
    assert kept[-1] == 100


def test_movement_follows_a_schedule_that_falls():
    schedule = prune.schedules.periodic(0.8, periods=2, end=8)
    params = {"kernel": jax.random.normal(jax.random.key(0), (20, 50))}
    method = prune.movement(schedule)
    state, kept = method.init(params), []
    for _ in range(10):
        kept.append(int(state.masks["kernel"].sum()))
        state = jax.jit(method.after_step)(params, state)[1]
    np.testing.assert_allclose(kept, 1000 * (1 - schedule(jnp.arange(10))), atol=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: prune.schedules.linear(1.0, end=3), "sparsity=1.0"),
        (lambda: prune.schedules.cubic(0.5, begin=4, end=3), "before it begins at 4"),
        (lambda: prune.schedules.exponential(0.5, end=3, initial=0.6), "initial=0.6 exceeds"),
        (lambda: prune.schedules.at_once(0.5, at=-1), "begin=-1"),
        (lambda: prune.schedules.iterative(0.5, rounds=3, end=5), "rounds=3"),
        (lambda: prune.schedules.iterative(0.5, rounds=2, end=0), "rounds=2"),
        (lambda: prune.schedules.periodic(0.5, periods=4, end=7), "at least two steps each"),
        (lambda: prune.gradual(prune.schedules.periodic(0.5, periods=2, end=8)), "prune.movement"),
        (lambda: prune.gradual(prune.schedules.linear(0.5, end=8), end=9), "schedule replaces begin"),
        (lambda: prune.gradual(0.5), "end="),
        (lambda: prune.movement(0.5), "end="),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
