"""Integer products: exact sums, groups of scales, single rows, and numbers that cannot be rounded to int8."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax import interpret, tensors
from compressjax.core import Dense, Product
from compressjax.tensors.quantized._dot import SMALLEST_GROUP, integer_dot
from tests import helpers
from tests.interpret import samples

MATRIX = Product((1,), (), (0,), (), None, None)


def layer(w: Any, x: jax.Array) -> jax.Array:
    """A dense layer."""
    return x @ w


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("affine", [False, True])
def test_sums_are_exact_integers(rows: int, affine: bool) -> None:
    """Rows whose largest entry is 127 are their own codes, so the result is an integer product times the scale."""
    draw = samples.rng(rows)
    x = draw.integers(-126, 127, (rows, 6))
    x[:, 0] = 127
    node = samples.grid(draw, (6, 8), (1, 8), affine=affine, activation="dynamic")
    node = dataclasses.replace(node, scale=jnp.exp2(-jnp.arange(8.0))[None])
    zero = 0 if node.zero_point is None else np.asarray(node.zero_point)
    asked = (x @ (np.asarray(node.codes).astype(int) - zero)) * 2.0 ** -np.arange(8)
    np.testing.assert_array_equal(interpret.lift(layer)(node, jnp.asarray(x, jnp.float32)), asked)


def test_the_product_in_hlo_is_int8_with_int32_sums() -> None:
    node = samples.grid(samples.rng(), (64, 32), (1, 32), order=(1, 0), activation="dynamic")
    text = jax.jit(interpret.lift(layer)).lower(node, jnp.ones((4, 64))).as_text()
    assert "(tensor<4x64xi8>, tensor<32x64xi8>) -> tensor<4x32xi32>" in text
    assert "64x32xf32" not in text
    assert "32x64xf32" not in text


def test_one_row_is_padded_to_two() -> None:
    node = samples.grid(samples.rng(), (64, 32), (1, 32), order=(1, 0), activation="dynamic")
    for shape in ((1, 64), (64,)):
        text = jax.jit(interpret.lift(layer)).lower(node, jnp.ones(shape)).as_text()
        assert "tensor<2x" in text
    draw = samples.rng(1)
    x = samples.floats(draw, 3, 64)
    together = interpret.lift(layer)(node, x)
    for i in range(3):
        np.testing.assert_array_equal(interpret.lift(layer)(node, x[i]), together[i])
        np.testing.assert_array_equal(interpret.lift(layer)(node, x[i : i + 1])[0], together[i])


GROUPED = {
    "rows of groups": ((64, 6), (4, 6), (), False),
    "transposed": ((64, 6), (4, 6), (1, 0), False),
    "affine": ((64, 6), (2, 1), (1, 0), True),
    "one scale a group": ((64, 6), (4, 1), (), False),
    "groups of channels too": ((64, 6), (4, 3), (1, 0), True),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("case", GROUPED)
def test_group_scales_run_in_integers(case: str, rows: int) -> None:
    shape, blocks, order, affine = GROUPED[case]
    draw = samples.rng(3)
    node = samples.grid(draw, shape, blocks, order=order, affine=affine, activation="dynamic")
    x = samples.floats(draw, rows, 64)
    w = helpers.brute(node)
    room = samples.errors(node, x, (1,)) @ np.abs(w) + 1e-5 * np.abs(helpers.float64(x)) @ np.abs(w) + 1e-6
    assert (np.abs(interpret.lift(layer)(node, x) - helpers.float64(x) @ w) <= room).all()
    assert samples.statuses(layer, node, x) == {("dot_general", "native")}


@pytest.mark.parametrize("node_left", [False, True])
def test_group_scales_under_batches_and_several_summed_axes(node_left: bool) -> None:
    draw = samples.rng(4)
    node = samples.grid(draw, (2, 4, 16, 3), (2, 4, 1, 3), order=(2, 0, 1), activation="dynamic")
    x = samples.floats(draw, 5, 2, 16, 4)
    spec = "beio,nbie->bon" if node_left else "nbie,beio->bno"

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jnp.einsum(spec, w, x) if node_left else jnp.einsum(spec, x, w)

    asked = np.einsum("nbie,beio->bon" if node_left else "nbie,beio->bno", helpers.float64(x), helpers.brute(node))
    got = interpret.lift(f)(node, x)
    room = np.abs(helpers.float64(x)).max() / 254 * np.abs(helpers.brute(node)).sum((1, 2)).max()
    assert got.shape == asked.shape
    assert np.abs(got - asked).max() <= room
    assert samples.statuses(f, node, x) == {("dot_general", "native")}


def test_what_has_no_integer_form_says_why() -> None:
    draw = samples.rng()
    good = samples.grid(draw, (64, 8), (1, 8), activation="dynamic")
    small = samples.grid(draw, (64, 8), (64 // (SMALLEST_GROUP // 2), 8), activation="dynamic")
    several = samples.grid(draw, (4, 64, 8), (2, 4, 8), activation="dynamic")
    layers = dataclasses.replace(good, activation="static", activation_scale=jnp.ones(3))
    long = tensors.Quantized(jnp.zeros((140_000, 1), jnp.int8), jnp.ones((1, 1)), activation="dynamic")
    affine = dataclasses.replace(long, zero_point=jnp.zeros((1, 1), jnp.int32), codes=jnp.zeros((70_000, 1), jnp.uint8))
    two = Product((1, 2), (), (0, 1), (), None, None)
    for x, node, product, word in [
        (jnp.ones((2, 64), jnp.complex64), good, MATRIX, "complex64"),
        (jnp.ones((2, 64), jnp.int32), good, MATRIX, "int32"),
        (jnp.ones((2, 64)), small, MATRIX, "fewer than"),
        (jnp.ones((2, 4, 64)), several, two, "several summed axes"),
        (jnp.ones((2, 64)), layers, MATRIX, "activation scale per layer"),
        (jnp.ones((1, 140_000)), long, MATRIX, "overflow int32"),
        (jnp.ones((1, 70_000)), affine, MATRIX, "overflow int32"),
    ]:
        out = integer_dot(x, node, product)
        assert isinstance(out, Dense), word
        assert word in out.reason


def test_the_longest_sums_do_not_wrap() -> None:
    """The limit on the number of terms is right: all codes at their extremes still sum up exactly."""
    n = (2**31 - 1) // (127 * 255)
    ones = jnp.ones((2, n))
    node = tensors.Quantized(
        jnp.full((n, 1), 255, jnp.uint8), jnp.ones((1, 1)), jnp.zeros((1, 1), jnp.int32), activation="dynamic"
    )
    np.testing.assert_allclose(interpret.lift(layer)(node, ones), 255.0 * n, rtol=1e-6)
    n = (2**31 - 1) // (127 * 128)
    node = tensors.Quantized(jnp.full((n, 1), -127, jnp.int8), jnp.ones((1, 1)), activation="dynamic")
    np.testing.assert_allclose(interpret.lift(layer)(node, jnp.ones((2, n))), -127.0 * n, rtol=1e-6)


def test_complex_activations_fall_back_to_the_dense_product() -> None:
    node = samples.grid(samples.rng(), (6, 8), (1, 8), activation="dynamic")
    x = np.ones((2, 6)) * (1 + 2j)
    f = lambda w, x: jax.lax.dot(x, w.astype(jnp.complex64))  # noqa: E731
    np.testing.assert_allclose(
        samples.lifted(f)(node, jnp.asarray(x, jnp.complex64)), x @ helpers.brute(node), rtol=1e-5
    )


@pytest.mark.parametrize("activation", ["dynamic", "static"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_inputs_never_become_finite_results(activation: str, bad: float) -> None:
    node = samples.grid(samples.rng(), (6, 8), (1, 8), activation=activation)
    x = np.array(samples.floats(samples.rng(1), 3, 6))
    clean = interpret.lift(layer)(node, jnp.asarray(x))
    x[1, 2] = bad
    out = np.asarray(interpret.lift(layer)(node, jnp.asarray(x)))
    assert np.isnan(out[1]).all()
    np.testing.assert_array_equal(out[[0, 2]], clean[jnp.array([0, 2])])


@pytest.mark.parametrize("activation", ["dynamic", "static"])
def test_rows_of_zeros_and_no_rows(activation: str) -> None:
    node = samples.grid(samples.rng(), (6, 8), (1, 8), affine=True, activation=activation)
    x = jnp.zeros((3, 6)).at[1].set(1.0)
    out = interpret.lift(layer)(node, x)
    assert (out[0] == 0).all()
    assert (out[2] == 0).all()
    assert (out[1] != 0).any()
    assert interpret.lift(layer)(node, jnp.zeros((0, 6))).shape == (0, 8)
    empty = tensors.Quantized(jnp.zeros((0, 3), jnp.int8), jnp.ones((1, 3)), activation=activation)
    empty = dataclasses.replace(empty, activation_scale=jnp.float32(1))
    np.testing.assert_array_equal(interpret.lift(layer)(empty, jnp.ones((2, 0))), np.zeros((2, 3)))


@pytest.mark.parametrize("size", [1e37, 1e20, 1e-20, 1e-36, 1e-42])
def test_huge_and_tiny_inputs_stay_within_the_bound(size: float) -> None:
    node = samples.grid(samples.rng(), (6, 8), (1, 8), activation="dynamic")
    x = (np.array(samples.rng(1).normal(size=(3, 6))) * size).astype(np.float32)
    out = helpers.float64(interpret.lift(layer)(node, jnp.asarray(x)))
    asked = helpers.float64(x) @ helpers.brute(node)
    room = (
        np.maximum(np.abs(x).max(1, keepdims=True).astype(float), 2.0**-100) / 254 * np.abs(helpers.brute(node)).sum(0)
    )
    assert np.isfinite(out).all()
    assert (np.abs(out - asked) <= 1.01 * room).all()


@pytest.mark.thorough
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(0, 4),
    fan_in=st.integers(1, 40),
    out=st.integers(1, 5),
    scale=st.sampled_from([1e-12, 1e-3, 1.0, 1e4, 1e15]),
    outlier=st.sampled_from([1.0, 1e3, 1e6]),
    dtype=st.sampled_from(helpers.FLOATS),
    affine=st.booleans(),
    activation=st.sampled_from(["dynamic", "static"]),
)
def test_the_stated_bound_holds(
    seed: int, rows: int, fan_in: int, out: int, scale: float, outlier: float, dtype: str, affine: bool, activation: str
) -> None:
    """`integer_bound` is an upper bound on the error, for rows with outliers and every dtype."""
    draw = samples.rng(seed)
    limit = 100.0 if dtype == "float16" else np.inf
    x = draw.normal(size=(rows, fan_in)) * min(scale, limit)
    if x.size:
        x.flat[0] *= min(outlier, limit)
    x = jnp.asarray(x, jnp.dtype(dtype))
    node = samples.grid(draw, (fan_in, out), (1, out), affine=affine, activation=activation, dtype=dtype)
    got = helpers.float64(jax.jit(interpret.lift(layer))(node, x))
    error = np.abs(got - helpers.float64(x) @ helpers.brute(node))
    bound = np.asarray(interpret.integer_bound(x, node))
    assert np.isfinite(got).all()
    assert (error <= bound).all(), (error - bound).max()


def test_derivatives_are_those_of_the_dense_product() -> None:
    node = samples.grid(samples.rng(), (6, 8), (1, 8), order=(1, 0), affine=True, activation="dynamic")
    x, c = samples.floats(samples.rng(1), 3, 6), samples.floats(samples.rng(2), 3, 8)
    grads = jax.grad(lambda n, x: jnp.sum(c * interpret.lift(layer)(n, x)), argnums=(0, 1), allow_int=True)(node, x)
    samples.assert_close(grads[1], helpers.float64(c) @ helpers.brute(node).T)
    shifted = np.asarray(node.dense_codes()).astype(float) - np.asarray(node.zero_point)
    by_scale = (helpers.float64(x).T @ helpers.float64(c) * shifted).sum(0, keepdims=True)
    samples.assert_close(grads[0].scale, by_scale)
    assert grads[0].codes.dtype == jax.dtypes.float0
    _, tangent = jax.jvp(lambda x: interpret.lift(layer)(node, x), (x,), (jnp.ones_like(x),))
    samples.assert_close(tangent, np.ones((3, 6)) @ helpers.brute(node))
