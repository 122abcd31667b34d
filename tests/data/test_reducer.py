"""Any reducer that keeps the contract works, also one from outside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data


def test_a_reducer_of_a_user_is_driven_as_ours():
    reducer = data.Reducer(
        lambda n: jnp.zeros((1, n)), lambda s, x: s + x.sum(0, keepdims=True), lambda a, b: a + b, lambda s: s, "sum"
    )
    rows = np.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(data.fit(reducer, np.split(rows, 3)), rows.sum(0, keepdims=True))
    assert jax.tree.leaves(data.gathered(reducer, rows))[0].shape == (1, 2)


def test_labels_come_in_pairs(draw):
    reducer = data.Reducer(
        lambda n: jnp.zeros((n,)), lambda s, batch: s + batch[1] @ batch[0], lambda a, b: a + b, lambda s: s, "product",
        data.Reads("numbers"),
    )  # fmt: skip
    x, y = draw.normal(size=(9, 2)).astype(np.float32), draw.normal(size=9).astype(np.float32)
    np.testing.assert_allclose(data.fit(reducer, (x, y)), y @ x, rtol=1e-5)
    np.testing.assert_allclose(data.fit(reducer, [(x[:4], y[:4]), (x[4:], y[4:])]), y @ x, rtol=1e-5)
    for source, said in [((x, y[:3]), r"labels of shape \(3,\) do not belong to 9 rows"), (x, "a source is a pair")]:
        with pytest.raises(ValueError, match=said):
            data.fit(reducer, source)
