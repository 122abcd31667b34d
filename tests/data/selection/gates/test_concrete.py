"""The concrete selector chooses what matters, and is a mixture of columns before it does."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from tests.data.selection.gates.train import trained


def test_it_finds_what_matters():
    selector = data.concrete_selector(6, 2)
    params, error = trained(selector, 0.0, steps=1500, outputs=2, temperature=(10.0, 0.1))
    assert selector.select(params).places.tolist() == [1, 4]
    assert error < 0.3


def test_a_choice_is_a_mixture_of_columns(key):
    selector = data.concrete_selector(3, 2, temperature=1.0)
    weights = np.asarray(selector.apply(jnp.zeros((2, 3)), jnp.eye(3), key))
    np.testing.assert_allclose(weights.sum(0), 1, rtol=1e-5)
    assert selector.apply(jnp.eye(2, 3), jnp.arange(6.0).reshape(2, 3)).tolist() == [[0, 1], [3, 4]]
    assert selector.select(jnp.array([[0.0, 5.0, 0.0]] * 2)).places.tolist() == [1]
    with pytest.raises(ValueError, match="drop k=1"):
        selector.select(jnp.eye(2, 3), 1)
    with pytest.raises(ValueError, match=r"k=4 must be in \[1, 3\]"):
        data.concrete_selector(3, 4)
