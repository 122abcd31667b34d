"""Any reducer that keeps the contract works, also one from outside; iterative ones read their source several times."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from tests.data import laws


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


class Direction(NamedTuple):
    """State of a power iteration: the direction before the pass, and its image so far."""

    vector: jax.Array
    image: jax.Array
    passes: jax.Array


def power_iteration(passes):
    def again(state):
        vector = state.image / jnp.linalg.norm(state.image)
        return Direction(vector, jnp.zeros_like(vector), state.passes + 1), state.passes + 1 < passes

    return data.Reducer(
        lambda n: Direction(jnp.ones(n), jnp.zeros(n), jnp.int32(0)),
        lambda s, x: s._replace(image=s.image + x.T @ (x @ s.vector)),
        lambda a, b: a._replace(image=a.image + b.image),
        lambda s: s.vector,
        "power_iteration",
        again=again,
    )


def test_an_iterative_reducer_reads_its_source_several_times():
    rows = laws.digits()[:200]
    leading = laws.check(power_iteration(12), rows)
    np.testing.assert_allclose(leading, np.abs(np.linalg.svd(rows)[2][0]), atol=1e-4)
    counted = []
    data.fit(power_iteration(3), rows, progress=counted.append)
    assert counted == [200] * 3
    with pytest.raises(ValueError, match="power_iteration: it reads its source several times, and a generator can be"):
        data.fit(power_iteration(3), (part for part in np.split(rows, 2)))
