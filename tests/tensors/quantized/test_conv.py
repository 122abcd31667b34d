"""The integer convolution alone: exact sums for entries that are their own codes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.interpret.lifting._conv import convolution
from compressjax.tensors.quantized._conv import rounded_conv
from tests.interpret import samples

NHWC, NCHW = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "same": ((2, 4, 5, 3), (3, 3, 3, 4), {"padding": "SAME", "dimension_numbers": NHWC}),
    "channels first": ((2, 3, 5, 4), (4, 3, 3, 2), {"padding": "SAME", "dimension_numbers": NCHW}),
    "mixed": ((5, 4, 2, 3), (3, 3, 4, 3), {"dimension_numbers": ("HWNC", "HWOI", "CHWN")}),
    "groups": ((2, 4, 4, 4), (3, 3, 2, 6), {"feature_group_count": 2, "dimension_numbers": NHWC}),
    "strides and dilation": (
        (2, 7, 7, 3), (2, 2, 3, 4), {"window_strides": (2, 1), "rhs_dilation": (1, 2), "dimension_numbers": NHWC},
    ),
    "one dimension": ((2, 7, 3), (3, 3, 4), {"padding": "SAME", "dimension_numbers": ("NWC", "WIO", "NWC")}),
    "one output channel": ((2, 3, 4, 4), (1, 3, 3, 3), {"dimension_numbers": NCHW}),
}  # fmt: skip


def window(case: str) -> tuple[np.ndarray, tuple[int, ...], dict[str, Any]]:
    """Integer images whose largest entry is 127, the kernel's shape, and parameters."""
    x_shape, k_shape, given = CASES[case]
    arguments = {"window_strides": (1,) * (len(x_shape) - 2), "padding": "VALID", **given}
    f = lambda w, x: jax.lax.conv_general_dilated(x, w, **arguments)  # noqa: E731
    params = samples.equation(f, jnp.ones(k_shape), jnp.ones(x_shape)).params
    x = samples.rng(1).integers(-126, 127, x_shape)
    corner = [0] * x.ndim
    corner[params["dimension_numbers"].lhs_spec[0]] = slice(None)
    x[tuple(corner)] = 127
    return x, k_shape, params


@pytest.mark.turns(2)
@pytest.mark.parametrize("stored", [False, True], ids=["as it is", "stored reversed"])
@pytest.mark.parametrize("case", CASES)
def test_sums_are_exact_integers(case: str, stored: bool) -> None:
    x, shape, params = window(case)
    out = params["dimension_numbers"].rhs_spec[0]
    blocks = tuple(d if a == out else 1 for a, d in enumerate(shape))
    order = tuple(reversed(range(len(shape)))) if stored else ()
    node = samples.grid(samples.rng(), shape, blocks, order=order, activation="dynamic")
    powers = jnp.exp2(-jnp.arange(float(shape[out]))).reshape(blocks)
    node = dataclasses.replace(node, scale=powers)
    got = rounded_conv(convolution(params))(jnp.asarray(x, jnp.float32), node)
    codes = np.transpose(np.asarray(node.codes), np.argsort(order)) if order else np.asarray(node.codes)
    np.testing.assert_array_equal(got, samples.convolution(x, codes * np.asarray(powers, np.float64), params))


def test_layers_of_one_form_share_a_trace() -> None:
    _, _, params = window("same")
    assert rounded_conv(convolution(params)) is rounded_conv(convolution(dict(params)))


def test_the_dense_convolution_in_another_dtype() -> None:
    x, shape, params = window("same")
    kernel = samples.floats(samples.rng(), *shape)
    how = dataclasses.replace(convolution(params), dtype=jnp.float32)
    wide = how.dense(jnp.asarray(x, jnp.bfloat16), kernel.astype(jnp.bfloat16))
    assert wide.dtype == jnp.float32
    samples.assert_close(wide, samples.convolution(x, kernel, params), tolerance=0.02)
