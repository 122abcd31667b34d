"""Hard concrete gates find what matters; their penalty is the expected number of open ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from tests.data.selection.gates.train import trained


def test_they_find_what_matters():
    gates = data.hard_concrete_gates(6, keep=0.6)
    params, error = trained(gates, 0.3)
    assert gates.select(params).places.tolist() == [1, 4]
    assert error < 0.3


def test_the_penalty_counts_open_gates(key):
    gates = data.hard_concrete_gates(3)
    params = jnp.array([-1.0, 0.0, 2.0])
    drawn = jax.vmap(lambda k: gates.apply(params, jnp.ones((1, 3)), k)[0])(jax.random.split(key, 4000))
    assert float((np.asarray(drawn) > 0).sum(1).mean()) == pytest.approx(float(gates.penalty(params)), abs=0.05)
    assert gates.select(jnp.array([3.0, -9.0, -8.0]), 2).places.tolist() == [0, 2]
    assert gates.init(key).shape == (3,)
    for bad in ({"features": 0}, {"features": 1, "keep": 1.0}):
        with pytest.raises(ValueError, match="must be"):
            data.hard_concrete_gates(**bad)
