"""Stochastic gates find what matters; their penalty is the expected number of open ones."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from tests.data.selection.gates.train import trained


def test_they_find_what_matters():
    gates = data.stochastic_gates(6)
    params, error = trained(gates, 0.5)
    assert gates.select(params).places.tolist() == [1, 4]
    assert error < 0.3


def test_the_penalty_counts_open_gates(key):
    gates = data.stochastic_gates(3, deviation=0.7)
    params = jnp.array([-0.5, 0.2, 1.0])
    drawn = np.asarray(gates.apply(params, jnp.ones((4000, 3)), key))
    assert (drawn > 0).sum(1).mean() == pytest.approx(float(gates.penalty(params)), abs=0.05)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    with pytest.raises(ValueError, match="deviation=0"):
        data.stochastic_gates(3, deviation=0)
