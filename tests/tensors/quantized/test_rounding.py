"""Rounding to int8 and back."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax import interpret, tensors
from compressjax.tensors.quantized._rounding import (
    LIMIT,
    quantize_activations,
    refusal,
    signed_codes,
    straight_through_product,
)
from tests.interpret import samples

DYNAMIC = tensors.Quantized(None, None, activation="dynamic")
STATIC = tensors.Quantized(None, None, activation="static", activation_scale=jnp.float32(0.5))


@given(
    st.lists(st.floats(-1e30, 1e30, allow_subnormal=False), min_size=1, max_size=8),
    st.integers(-40, 30),
)
def test_codes_round_to_nearest_within_half_a_step(entries: list[float], exponent: int) -> None:
    x = np.ldexp(np.array([entries], np.float32), exponent % 20 - 10).astype(np.float32)
    codes, scale = quantize_activations(jnp.asarray(x), (1,), DYNAMIC)
    codes, scale = np.asarray(codes).astype(float), float(scale[0, 0])
    assert np.abs(codes).max() <= LIMIT
    assert np.isfinite(scale)
    assert scale > 0
    assert (np.abs(codes * scale - x.astype(float)) <= 0.5001 * scale).all()


def test_scales_are_shared_over_the_given_axes_only() -> None:
    x = samples.floats(samples.rng(), 3, 4, 5)
    for axes in ((2,), (0, 1), (), (0, 1, 2)):
        codes, scale = quantize_activations(x, axes, DYNAMIC)
        np.testing.assert_allclose(scale, np.abs(x).max(axis=axes, keepdims=True) / 127, rtol=1e-6)
        assert codes.shape == x.shape
        assert codes.dtype == jnp.int8


def test_static_scales_saturate() -> None:
    codes, scale = quantize_activations(jnp.array([[0.2, 0.3, -80.0, 1e9]]), (1,), STATIC)
    assert codes.tolist() == [[0, 1, -127, 127]]
    assert scale.tolist() == [[0.5]]


@pytest.mark.parametrize("node", [DYNAMIC, STATIC], ids=["dynamic", "static"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scales_tell_of_non_finite_entries(node: tensors.Quantized, bad: float) -> None:
    _, scale = quantize_activations(jnp.array([[1.0, bad], [1.0, 2.0]]), (1,), node)
    assert not np.isfinite(scale[0, 0])
    assert np.isfinite(scale[1, 0])


@pytest.mark.parametrize(("bits", "dtype"), [(8, jnp.int8), (8, jnp.uint8), (4, jnp.uint8), (4, jnp.int8)])
@pytest.mark.parametrize("with_zero", [False, True])
def test_signed_codes_stand_for_the_same_numbers(bits: int, dtype: jnp.dtype, with_zero: bool) -> None:
    low, high = (0, 2**bits) if dtype == jnp.uint8 else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    codes = jnp.arange(low, high, dtype=dtype)
    node = tensors.Quantized(codes, jnp.ones(1), jnp.array([7], jnp.int32) if with_zero else None, bits=bits)
    signed, zero = signed_codes(node)
    assert signed.dtype == jnp.int8
    shift = 0 if zero is None else np.asarray(zero)
    np.testing.assert_array_equal(np.asarray(signed).astype(int) - shift, np.arange(low, high) - 7 * with_zero)


def test_refusals() -> None:
    x = jnp.ones(3)
    assert refusal(x, DYNAMIC, 100_000) == ""
    assert "int32" in refusal(x, DYNAMIC, 200_000)
    assert "int32" in refusal(x, dataclasses.replace(DYNAMIC, zero_point=jnp.zeros(1)), 100_000)
    assert "int8" in refusal(x.astype(int), DYNAMIC, 1)
    assert "layer" in refusal(x, dataclasses.replace(STATIC, activation_scale=jnp.ones(2)), 1)
    assert refusal(x, dataclasses.replace(STATIC, activation_scale=jnp.ones(1)), 1) == ""


def test_straight_through_product_has_one_function_s_values_and_the_other_s_derivatives() -> None:
    f = straight_through_product(lambda x, n: jnp.round(x) * n, lambda x, n: x * n * n)
    assert f(1.6, 3.0) == 6.0
    assert jax.grad(f, (0, 1))(1.6, 3.0) == (9.0, pytest.approx(2 * 1.6 * 3))
    assert jax.jit(jax.vmap(jax.grad(f), (0, None)))(jnp.array([0.2, 0.8]), 3.0).tolist() == [9.0, 9.0]


def dense(w: Any, bias: jax.Array, x: jax.Array) -> jax.Array:
    """A dense layer with bias and ReLU."""
    return jax.nn.relu(x @ w + bias)


def convolution(w: Any, bias: jax.Array, x: jax.Array) -> jax.Array:
    """A 3x3 convolution with bias and ReLU."""
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.nn.relu(jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers) + bias)


def readers(text: str) -> dict[str, tuple[str, list[str]]]:
    """Result type of every array of a compiled program, and the types of the results of what reads it."""
    entry = re.sub(r"/\*index=\d+\*/", "", text[text.index("ENTRY") :])
    rows = re.findall(r"^\s+(?:ROOT )?%([\w.-]+) = (\w+\[[\d,]*\])\S* [\w-]+\((.*?)\)(?:,|$)", entry, re.M)
    return {
        name: (kind, [other for _, other, inputs in rows if f"%{name}" in inputs.split(", ")]) for name, kind, _ in rows
    }


@pytest.mark.parametrize("activation", ["static", "dynamic"])
@pytest.mark.parametrize("layer", ["dense", "convolution"])
def test_the_compiler_leaves_no_extra_pass(layer: str, activation: str) -> None:
    """Floats are read once to round them (and once for the largest, if dynamic), and sums once, for the result."""
    shape, rows, out = {
        "dense": ((128, 256), (32, 128), (32, 256)), "convolution": ((3, 3, 32, 24), (2, 8, 8, 32), (2, 8, 8, 24))
    }[layer]  # fmt: skip
    ones = (1,) * (len(shape) - 1)
    order = (1, 0) if layer == "dense" else ()
    w = samples.grid(samples.rng(), shape, (*ones, shape[-1]), order=order, activation=activation)
    bias = jnp.ones((*(1,) * (len(rows) - 1), shape[-1]))
    function = {"dense": dense, "convolution": convolution}[layer]
    compiled = jax.jit(interpret.lift(function)).lower(w, bias, jnp.ones(rows)).compile()
    program = readers(compiled.as_text()).values()

    def named(dtype: str, dims: tuple[int, ...]) -> str:
        return f"{dtype}[{','.join(map(str, dims))}]"

    (read,) = [sorted(kinds) for kind, kinds in program if kind == named("f32", rows)]
    largest = [] if activation == "static" else [named("f32", rows[:1])]
    assert read == [*largest, named("s8", rows)]
    assert [kinds for kind, kinds in program if kind == named("s32", out)] == [[named("f32", out)]]
    assert [kinds for kind, kinds in program if kind == named("f32", out)] == [[]]


@pytest.mark.parametrize("layer", ["dense", "convolution"])
def test_static_layers_in_a_row_stay_in_integers(layer: str) -> None:
    """Between two layers, the sums in int32 become the next codes in int8, in one pass: no float tensor is stored."""
    first, second, rows, middle = {
        "dense": ((64, 96), (96, 48), (16, 64), "[16,96]"),
        "convolution": ((3, 3, 32, 48), (3, 3, 48, 40), (2, 8, 8, 32), "[2,8,8,48]"),
    }[layer]  # fmt: skip
    function = {"dense": dense, "convolution": convolution}[layer]
    draw, ones = samples.rng(), (1,) * (len(first) - 1)
    order = (1, 0) if layer == "dense" else ()
    params = []
    for shape in (first, second):
        w = samples.grid(draw, shape, (*ones, shape[-1]), order=order, activation="static")
        params.append((w, jnp.ones((*ones, shape[-1]))))

    def network(params: Any, x: jax.Array) -> jax.Array:
        for w, bias in params:
            x = function(w, bias, x)
        return x

    compiled = jax.jit(interpret.lift(network)).lower(params, jnp.ones(rows)).compile()
    program = list(readers(compiled.as_text()).values())
    between = {kind: kinds for kind, kinds in program if kind.endswith(middle)}
    assert list(between) == ["s32" + middle, "s8" + middle]
    assert between["s32" + middle] == ["s8" + middle]
