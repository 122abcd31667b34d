"""Axes of a product."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Product, Ragged
from tests.interpret import samples


def test_axes_of_a_batched_product() -> None:
    p = Product((3,), (1,), (0,), (2,), None, None)
    assert p.numbers == (((3,), (0,)), ((1,), (2,)))
    assert p.x_free(4) == (0, 2)
    assert p.free(4) == (1, 3)


def test_the_dense_product_is_dot_general() -> None:
    x, w = samples.floats(samples.rng(), 2, 3, 4, 5), samples.floats(samples.rng(1), 5, 6, 3)
    p = Product((3,), (1,), (0,), (2,), jax.lax.Precision.HIGHEST, jnp.float32)
    np.testing.assert_allclose(p.dense(x, w), np.einsum("abcd,deb->bace", x, w), rtol=1e-4, atol=1e-5)


def test_products_are_equal_by_axes_so_that_layers_share_a_trace() -> None:
    assert Product((1,), (), (0,), (), None, None) == Product((1,), (), (0,), (), None, None)
    assert len({Product((1,), (), (0,), (), None, None), Product((1,), (), (1,), (), None, None)}) == 2


def test_rows_of_experts_in_order() -> None:
    """Experts without rows are passed over, and rows after the last one take the last expert's value."""
    ragged = Ragged(jnp.array([2, 0, 1]))
    np.testing.assert_array_equal(ragged.of_rows(jnp.array([5.0, 6.0, 7.0]), 4), [5, 5, 7, 7])
    np.testing.assert_array_equal(
        ragged.dense(jnp.ones((4, 1)), jnp.array([5.0, 6, 7])[:, None, None])[:, 0], [5, 5, 7, 0]
    )
