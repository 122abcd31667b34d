"""Scaled nodes: on which side of a product the scale goes, and what cannot take it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, quant, tensors
from tests import helpers


def scaled(shape, scale_shape, seed=0):
    """An int8 grid with integer products, times positive scales of very different size."""
    grid = core.compress(
        {"w": helpers.array(seed, shape)}, {"w": quant.rtn(8, granularity="tensor", activation="dynamic")}
    )["w"]
    return tensors.Scaled(grid, jnp.exp(2 * helpers.array(seed + 1, scale_shape)))


CONV = ("NHWC", "HWIO", "NHWC")
PRODUCTS = {
    "inputs": ((6, 4), (6, 1), (5, 6), lambda w, x: x @ w),
    "groups of inputs": ((6, 4), (3, 1), (5, 6), lambda w, x: x @ w),
    "outputs": ((6, 4), (1, 4), (5, 6), lambda w, x: x @ w),
    "weight first": ((4, 6), (1, 6), (6, 5), lambda w, x: w @ x),
    "two summed axes": ((2, 3, 4), (2, 3, 1), (5, 3, 2), lambda w, x: jnp.einsum("nba,abo->no", x, w)),
    "batch and inputs": ((2, 3, 4), (2, 3, 1), (5, 2, 3), lambda w, x: jnp.einsum("nbi,bio->nbo", x, w)),
    "batch and outputs": ((2, 3, 4), (2, 1, 4), (5, 2, 3), lambda w, x: jnp.einsum("nbi,bio->nbo", x, w)),
    "channels in": (
        (3, 3, 32, 6), (1, 1, 32, 1), (2, 5, 5, 32),
        lambda w, x: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=CONV),
    ),
    "channels in, in groups": (
        (3, 3, 32, 6), (1, 1, 32, 1), (2, 5, 5, 64),
        lambda w, x: jax.lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=CONV, feature_group_count=2
        ),
    ),
    "channels out": (
        (6, 32, 3, 3), (6, 1, 1, 1), (2, 32, 5, 5),
        lambda w, x: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW")),
    ),
    "experts, inputs": (
        (2, 3, 4), (2, 3, 1), (5, 3), lambda w, x: jax.lax.ragged_dot(x, w, jnp.array([2, 3], jnp.int32))
    ),
    "experts, outputs": (
        (2, 3, 4), (2, 1, 4), (5, 3), lambda w, x: jax.lax.ragged_dot(x, w, jnp.array([2, 3], jnp.int32))
    ),
    "layers of a scan": (
        (2, 4, 4), (2, 4, 1), (5, 4), lambda w, x: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, w)[0]
    ),
    "transposed": ((6, 4), (6, 1), (5, 4), lambda w, x: x @ w.T),
    "split": ((6, 4), (1, 4), (5, 6), lambda w, x: jnp.einsum("ni,iab->nab", x, w.reshape(6, 2, 2))),
}  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_integer_products_of_scaled_inputs_or_results(name):
    """The inner grid rounds `x s`, so the error is that of the inner product: half a step of the largest `|x s|`."""
    shape, blocks, data, fn = PRODUCTS[name]
    node, x = scaled(shape, blocks), helpers.array(7, data)
    rows = interpret.explain(lambda p, x: fn(p["w"], x))({"w": node}, x)
    assert [row.status for row in rows if row.primitive not in ("transpose", "reshape")] == ["native"]
    got = interpret.lift(lambda p, x: fn(p["w"], x), on_fallback="raise")({"w": node}, x)
    want = np.asarray(fn(node.materialize(), x))
    np.testing.assert_allclose(got, want, atol=0.06 * np.abs(want).max())


def test_a_scale_along_both_sides_is_materialized_with_the_reason():
    node = scaled((6, 4), (6, 4))
    rows = interpret.explain(lambda p, x: x @ p["w"])({"w": node}, jnp.ones((2, 6)))
    assert any("inputs and outputs at once" in row.reason for row in rows)


@pytest.mark.thorough
def test_rows_and_slices_take_their_blocks():
    node, ids = scaled((6, 4), (3, 1)), jnp.array([0, 5, 2, 9])
    np.testing.assert_allclose(node.rows(ids), node.materialize()[jnp.clip(ids, 0, 5)], rtol=1e-6)
    half = node.cut((core.Window(2, 4), None))
    np.testing.assert_array_equal(half.materialize(), node.materialize()[2:])
    assert "splits a group" in node.cut((core.Window(1, 2), None)).reason


@pytest.mark.usefixtures("fast_integers")
def test_prepare_keeps_a_scale_only_around_a_node():
    plain = tensors.Scaled(helpers.array(0, (6, 4)), jnp.full((6, 1), 2.0))
    np.testing.assert_array_equal(plain.prepare(), 2 * helpers.array(0, (6, 4)))
    assert isinstance(scaled((256, 256), (256, 1)).prepare(), tensors.Scaled)


def test_a_scale_that_does_not_tile_is_told():
    assert (
        "scale has the shape (4, 1), the tensor (6, 4)" in tensors.Scaled(jnp.ones((6, 4)), jnp.ones((4, 1))).misfit()
    )
