"""Arrays go to JAX, nodes to their own methods."""

import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Product, Window, ops
from tests.interpret import samples


def test_rebuild_hands_on_the_first_reason() -> None:
    assert ops.rebuild(lambda a, b: a - b, 3, 1) == 2
    assert ops.rebuild(lambda a, b: a, Dense("x"), Dense("y")) == Dense("x")


def test_arrays_of_numpy_and_of_jax() -> None:
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(ops.transpose(x, (1, 0)), x.T)
    np.testing.assert_array_equal(ops.reshape(x, (2, 6)), x.reshape(2, 6))
    np.testing.assert_array_equal(ops.cut(jnp.asarray(x), (Window(1, 2), Window(0, 2, 3))), x[1:, ::3])
    np.testing.assert_array_equal(ops.rows(x, jnp.array([2, 7])), x[[2, 2]])
    np.testing.assert_allclose(ops.product(jnp.ones((2, 3)), x, Product((1,), (), (0,), ())), np.ones((2, 3)) @ x)
    assert ops.convert(x, jnp.bfloat16).dtype == jnp.bfloat16
    assert ops.multiply_adds(x) == 12
    assert ops.prepare(x) is x
    assert ops.stacked(x) is x


def test_a_product_without_a_faster_form_is_made_dense() -> None:
    node = samples.codebook(samples.rng(), 3, 4)
    how = Product((1,), (), (0,), ())
    assert isinstance(ops.multiply(jnp.ones((2, 3)), node, how), Dense)
    samples.assert_close(ops.product(jnp.ones((2, 3)), node, how), np.ones((2, 3)) @ np.asarray(node.materialize()))


def test_nothing_is_moved_where_there_are_no_entries() -> None:
    assert "no entries" in ops.reshape(samples.low_rank(samples.rng(), (0, 4)), (0, 2, 2)).reason
