"""FedProx, FedAdam and SCAFFOLD against loops in NumPy."""

import numpy as np
import optax
import pytest

from compressjax.federated import fed_adam, fed_avg, fed_prox, federation, scaffold
from tests.federated.quadratics import CLIENTS, CURVES, RATE, ROUNDS, SHAPE, STEPS, TARGETS, loss, play, slope


def test_fed_prox_pulls_clients_back():
    states, _ = play(federation(loss, fed_prox(RATE, 0.7), CLIENTS))
    x = np.zeros(SHAPE)
    for n in range(ROUNDS):
        y = np.broadcast_to(x, (CLIENTS, *SHAPE))
        for _ in range(STEPS):
            y = y - RATE * (slope(y) + 0.7 * (y - x))
        x = y.mean(0)
        np.testing.assert_allclose(states.params["kernel"][n], x, atol=1e-6)


def test_fed_adam_steps_along_the_mean_change():
    states, _ = play(federation(loss, fed_adam(RATE, 0.1, 0.8, 0.9, 0.01), CLIENTS))
    x, m, v = np.zeros(SHAPE), np.zeros(SHAPE), np.full(SHAPE, 1e-4)
    for n in range(ROUNDS):
        y = np.broadcast_to(x, (CLIENTS, *SHAPE))
        for _ in range(STEPS):
            y = y - RATE * slope(y)
        change = y.mean(0) - x
        m, v = 0.8 * m + 0.2 * change, 0.9 * v + 0.1 * change**2
        x = x + 0.1 * m / (np.sqrt(v) + 0.01)
        np.testing.assert_allclose(states.params["kernel"][n], x, atol=1e-6)


def test_scaffold_and_its_control_variates():
    """Half of the clients take part; the server's variate stays the mean of all."""
    chosen = np.array([[0, 1, 2, 3], [2, 4, 6, 7], [1, 2, 5, 7]])
    states, _ = play(federation(loss, scaffold(RATE, optax.sgd(0.9)), CLIENTS), chosen=chosen)
    x, c, own = np.zeros(SHAPE), np.zeros(SHAPE), np.zeros((CLIENTS, *SHAPE))
    for n, some in enumerate(chosen):
        y = np.broadcast_to(x, (4, *SHAPE))
        for _ in range(STEPS):
            y = y - RATE * (slope(y, some) - own[some] + c)
        new = own[some] - c + (x - y) / (STEPS * RATE)
        c = c + (new - own[some]).sum(0) / CLIENTS
        own[some] = new
        x = x + 0.9 * (y - x).mean(0)
        np.testing.assert_allclose(states.params["kernel"][n], x, atol=1e-6)
        np.testing.assert_allclose(states.control["kernel"][n], c, atol=1e-6)
        np.testing.assert_allclose(states.clients.tree["control"]["kernel"][n], own, atol=1e-6)
        np.testing.assert_allclose(own.mean(0), c, atol=1e-9)


@pytest.mark.thorough
def test_scaffold_reaches_the_minimum_where_averaging_does_not():
    """The minimum of the sum is the mean of the minima weighted by curvature."""
    best = (CURVES * TARGETS).sum(0) / CURVES.sum()
    far, near = (play(federation(loss, a, CLIENTS), rounds=60)[0].params["kernel"][-1]
                 for a in (fed_avg(RATE), scaffold(RATE)))  # fmt: skip
    np.testing.assert_allclose(near, best, atol=1e-5)
    assert np.abs(far - best).max() > 1e-2


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="is not an optimizer; pass one of optax"):
        fed_avg("adam")
    with pytest.raises(ValueError, match=r"proximal=-1 must be at least 0"):
        fed_prox(0.1, -1)
    with pytest.raises(ValueError, match="b1=1 and b2"):
        fed_adam(0.1, b1=1)
    with pytest.raises(ValueError, match=r"rate=0 must be above 0"):
        scaffold(0)
