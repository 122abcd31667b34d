"""Products in every format against the same product of operands rounded by ml_dtypes."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from compressjax import precision


def scaled(x, kind):
    """A tensor on the scale of its largest magnitude."""
    scale = np.abs(x).max() / np.float32(ml_dtypes.finfo(kind).max)
    return (x / scale).astype(kind).astype(np.float32) * scale


ROUND = {
    "bfloat16": (lambda x: x.astype(ml_dtypes.bfloat16).astype(np.float32),) * 2,
    "float16": (lambda x: x.astype(np.float16).astype(np.float32),) * 2,
    "fp8": (lambda x: scaled(x, ml_dtypes.float8_e4m3fn), lambda x: scaled(x, ml_dtypes.float8_e5m2)),
    "q4.4": (lambda x: np.clip(np.round(x * 16) / 16, -7.9375, 7.9375),) * 2,
}


@pytest.mark.parametrize("name", ROUND)
def test_operands_and_gradients_are_rounded(name, draw):
    x, w, g = (draw.normal(size=s).astype(np.float32) for s in ((3, 5), (5, 4), (3, 4)))
    run = precision.mixed(lambda x, w: x @ w, name)
    got, (dx, dw) = jax.jit(lambda *a: (run(*a[:2]), jax.vjp(run, *a[:2])[1](a[2])))(x, w, g)
    there, back = ROUND[name]
    rx, rw, rg = there(x), there(w), back(g)
    near = {"bfloat16": 2.0**-7, "float16": 2.0**-9}.get(name, 1e-5)  # of results and gradients in these types
    for mine, exact in ((got, rx @ rw), (dx, rg @ rw.T), (dw, rx.T @ rg)):
        assert mine.dtype == jnp.float32
        np.testing.assert_allclose(mine, exact, rtol=near, atol=near)
    assert not np.allclose(got, x @ w, rtol=1e-6, atol=0)


def test_convolutions_are_products(draw):
    """Small integers are exact in every format, and so are their sums."""
    x, w = (draw.integers(-3, 4, s).astype(np.float32) for s in ((1, 5, 5, 2), (3, 3, 2, 2)))

    def conv(x, w):
        return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    exact, pull = jax.vjp(conv, x, w)
    got, back = jax.jit(lambda *a: (precision.mixed(conv)(*a), jax.vjp(precision.mixed(conv), *a)[1](a[0])))(x, w)
    np.testing.assert_array_equal(got, exact)
    for a, b in zip(back, pull(x), strict=True):
        np.testing.assert_array_equal(a, b)
