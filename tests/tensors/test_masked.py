"""Masked: exact zeros outside the mask, gradients inside it, sizes under masks over masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from tests import helpers

VALUE = jnp.array([[1.0, -2.0, jnp.nan], [jnp.inf, 5.0, -0.0]])
MASK = jnp.array([[True, False, False], [False, True, True]])


def test_what_is_not_stored_does_not_show() -> None:
    dense = np.asarray(tensors.Masked(VALUE, MASK).materialize())
    expected = np.array([[1.0, 0.0, 0.0], [0.0, 5.0, -0.0]], np.float32)
    assert helpers.same_bits(dense, expected)


def test_gradient_reaches_kept_values_only() -> None:
    node = tensors.Masked(jnp.ones((2, 3)), MASK)
    grad = jax.grad(lambda n: (n.materialize() ** 2).sum(), allow_int=True)(node)
    np.testing.assert_array_equal(grad.value, 2.0 * np.asarray(MASK))


@pytest.mark.parametrize(("kept", "bits"), [(None, 6 + 3 * 32), (0, 0), (2, 2 + 2 * 32), (6, 6 + 3 * 32)])
def test_size_under_another_mask(kept: int | None, bits: int) -> None:
    assert tensors.Masked(VALUE, MASK).size_bits(kept) == bits


def test_size_of_nothing_kept_twice() -> None:
    """An empty mask over a mask: no entry of the inner node is stored."""
    inner = tensors.Masked(jnp.ones((2, 3)), MASK)
    assert tensors.Masked(inner, jnp.zeros((2, 3), bool)).size_bits() == 6


def test_size_asks_for_a_concrete_mask() -> None:
    node = tensors.Masked(jnp.ones((2, 3)), MASK)
    with pytest.raises(ValueError, match="outside of jit"):
        jax.jit(lambda n: jnp.zeros(n.size_bits()))(node)
    with pytest.raises(ValueError, match="outside of jit"):
        jax.eval_shape(lambda n: n, node).size_bits()


def test_value_keeps_the_dense_path() -> None:
    assert list(core.values({"w": tensors.Masked(jnp.ones((2, 3)), MASK)})) == ["w"]


def test_masks_over_masks_are_both_in_products() -> None:
    grid = tensors.Quantized(jnp.ones((4, 3), jnp.int8), jnp.ones((1, 1)), activation="dynamic")
    first, second = (jnp.asarray(np.arange(12).reshape(4, 3) % n > 0) for n in (2, 3))
    node, x = tensors.Masked(tensors.Masked(grid, first), second), helpers.array(0, (5, 4))
    got = node.dot(x, core.Product((1,), (), (0,), ()))
    np.testing.assert_allclose(got, x @ node.materialize(), atol=0.06)
