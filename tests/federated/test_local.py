"""Local training is a loop of optax."""

import jax.numpy as jnp
import numpy as np
import optax

from compressjax.federated._algorithms import fed_prox
from compressjax.federated._local import train_alone
from tests.federated.quadratics import CURVES, SHAPE, TARGETS, batches, loss


def test_optimizers_start_anew_and_gradients_are_shifted():
    anchor, shift = {"kernel": jnp.ones(SHAPE)}, {"kernel": jnp.full(SHAPE, 0.3)}
    optimizer = optax.sgd(0.1, momentum=0.9)
    change, mean = train_alone(loss, fed_prox(optimizer, 0.5), anchor, shift, batches(np.array([5]))[0])
    x, m, losses = np.ones(SHAPE), np.zeros(SHAPE), []
    for _ in range(3):
        losses.append(0.5 * np.sum(CURVES[5] * (x - TARGETS[5]) ** 2))
        m = 0.9 * m + CURVES[5] * (x - TARGETS[5]) + 0.5 * (x - 1) + 0.3
        x = x - 0.1 * m
    np.testing.assert_allclose(change["kernel"], x - 1, atol=1e-6)
    np.testing.assert_allclose(mean, np.mean(losses), rtol=1e-6)
