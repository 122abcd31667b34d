"""Factorization machines against all pairs by hand, and planted interactions."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import data


def test_predictions_are_sums_over_pairs(draw):
    model = data.FactorizationMachine(
        jnp.float32(0.5), *(jnp.asarray(draw.normal(size=s), jnp.float32) for s in ((4,), (4, 3)))
    )
    x = draw.normal(size=(2, 4))
    v = np.asarray(model.factors)
    pairs = [sum(v[i] @ v[j] * row[i] * row[j] for i in range(4) for j in range(i)) for row in x]
    np.testing.assert_allclose(model.predict(x), 0.5 + x @ np.asarray(model.weights) + pairs, rtol=1e-4)


def test_planted_interactions_are_learned(draw, key):
    x = draw.normal(size=(200, 4)).astype(np.float32)
    y = 1 + x[:, 0] - 2 * x[:, 1] * x[:, 2]
    found = data.factorization_machine(x[:150], y[:150], 2, key, ridge=1e-6, optimizer=optax.adam(0.05), steps=400)
    assert np.mean((found.predict(x[150:]) - y[150:]) ** 2) < 0.02 * y.var()
    signs = (x[:, 1] * x[:, 2] > 0).astype(int)
    found = data.factorization_machine(x[:150], signs[:150], 2, key, loss="logistic", steps=200)
    assert np.mean((np.asarray(found.predict(x[150:])) > 0) == signs[150:]) > 0.9


def test_bad_arguments_are_named(key):
    with pytest.raises(ValueError, match="loss='hinge' one of"):
        data.factorization_machine(np.ones((2, 2)), np.ones(2), 1, key, loss="hinge")
    with pytest.raises(ValueError, match="the label of row 1 is 2"):
        data.factorization_machine(np.ones((2, 2)), np.array([0, 2]), 1, key, loss="logistic")
