"""Points of a grid in NumPy are those of the compiled rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import quant
from compressjax.quant._grid import fit, nearest
from compressjax.quant._nearest_host import HostScales, _shorten, fit_on_host, nearest_on_host
from compressjax.quant.grids._formats import FORMATS
from compressjax.quant.grids._stored import shorten


@pytest.mark.parametrize("name", [*sorted(set(FORMATS) - {"binary"}), "affine"])
def test_points_and_scales_are_those_of_the_compiled_grid(name):
    """Numbers of many sizes, zeros, subnormal ones, and halves between integers."""
    draw = np.random.default_rng(0)
    x = (draw.normal(size=(32, 40)) * np.exp2(draw.integers(-12, 3, size=(32, 40)))).astype(np.float32)
    x[3, :8], x[5], x[:, 7] = 0, np.arange(40) / 2, 1e-40
    grid = quant.grid(4, symmetric=False) if name == "affine" else quant.grid(name)
    grid = grid._replace(granularity="channel", axis=(1,), second=None, scale=grid.scale.replace("uint8", "float32"))
    scale, zero = jax.jit(fit, static_argnums=(1, 2))(jnp.asarray(x), (1, 40), grid)
    want = jax.jit(nearest, static_argnums=3)(jnp.asarray(x), scale, zero, grid)
    known = HostScales(np.asarray(scale), None if zero is None else np.asarray(zero))
    np.testing.assert_array_equal(nearest_on_host(x, known, grid), want)
    if grid.scale in ("float32", "e8m0") and not grid.form.averages:
        found = fit_on_host(x, grid)
        np.testing.assert_array_equal(found.scale, scale)
        assert zero is None or np.array_equal(found.zero_point, zero)


def test_scales_have_the_same_digits():
    x = np.abs(np.random.default_rng(0).normal(size=1000)).astype(np.float32)
    np.testing.assert_array_equal(_shorten(x), shorten(jnp.asarray(x)))
