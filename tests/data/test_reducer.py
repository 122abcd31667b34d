"""Any reducer that keeps the contract works, also one from outside."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import data


def test_a_reducer_of_a_user_is_driven_as_ours():
    reducer = data.Reducer(
        lambda n: jnp.zeros((1, n)), lambda s, x: s + x.sum(0, keepdims=True), lambda a, b: a + b, lambda s: s, "sum"
    )
    rows = np.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(data.fit(reducer, np.split(rows, 3)), rows.sum(0, keepdims=True))
    assert jax.tree.leaves(data.gathered(reducer, rows))[0].shape == (1, 2)
