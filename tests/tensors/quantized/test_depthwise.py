"""Depthwise convolutions as sums of shifted images, against XLA's own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, tensors
from tests.interpret import samples

NHWC = ("NHWC", "HWIO", "NHWC")
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "same": ((2, 5, 6, 3), (3, 3, 1, 3), {"padding": "SAME", "dimension_numbers": NHWC}),
    "strides": (
        (1, 7, 8, 4), (5, 3, 1, 4),
        {"padding": ((2, 1), (0, 3)), "window_strides": (2, 3), "dimension_numbers": NHWC},
    ),
    "channels first": ((2, 3, 6, 5), (3, 1, 2, 2), {"padding": "VALID", "dimension_numbers": ("NCHW", "OIHW", "NCHW")}),
    "kernel too large": ((1, 2, 2, 3), (3, 3, 1, 3), {"padding": "VALID", "dimension_numbers": NHWC}),
}  # fmt: skip


def function(case: str) -> tuple[Any, Any, jax.Array]:
    """The convolution, its kernel as a grid, and images."""
    x_shape, k_shape, given = CASES[case]
    given = {"window_strides": (1, 1), **given}
    draw = samples.rng()
    out = given["dimension_numbers"][1].index("O")
    node = samples.grid(
        draw, k_shape, tuple(d if a == out else 1 for a, d in enumerate(k_shape)), affine=True, activation="dynamic"
    )
    fn = lambda w, x: jax.lax.conv_general_dilated(x, w, **given, feature_group_count=k_shape[out])  # noqa: E731
    return fn, node, samples.floats(draw, *x_shape)


@pytest.mark.turns(2)
@pytest.mark.parametrize("case", CASES)
def test_the_sum_is_the_convolution(case: str) -> None:
    fn, node, x = function(case)
    want = fn(node.materialize(), x)
    got = interpret.lift(fn)(node, x)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)
    assert samples.statuses(fn, node, x) == {("conv_general_dilated", "native")}
    assert "conv_general_dilated" not in str(jax.make_jaxpr(interpret.lift(fn))(node, x))


def test_half_precision_and_other_groups() -> None:
    fn, node, x = function("same")
    half = interpret.lift(fn)(node.convert(jnp.bfloat16), x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), fn(node.materialize(), x), rtol=0.05, atol=0.1)
    two = samples.grid(samples.rng(), (3, 3, 1, 6), (1, 1, 1, 6), activation="dynamic")
    f = lambda w, x: jax.lax.conv_general_dilated(  # noqa: E731
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=3
    )
    assert samples.statuses(f, two, x) == {("conv_general_dilated", "dense")}


def test_prepare_keeps_depthwise_kernels_that_it_knows() -> None:
    fn, node, x = function("same")
    assert isinstance(interpret.prepare(node, fn, x), tensors.Quantized)
    assert isinstance(interpret.prepare(node), jax.Array)
