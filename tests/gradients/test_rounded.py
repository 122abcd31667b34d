"""Averages in short number formats."""

import jax
import ml_dtypes
import numpy as np
import pytest

from compressjax.gradients import rounded
from tests.gradients.workers import once


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int8"])
def test_rounding_is_that_of_ml_dtypes(name, draw):
    x = draw.normal(size=(3, 4)).astype(np.float32)
    if name == "bfloat16":
        exact = x.astype(ml_dtypes.bfloat16).astype(np.float32)
    else:
        largest = 127 if name == "int8" else float(ml_dtypes.finfo(name).max)
        scale = np.abs(x).max() / np.float32(largest)
        kind = np.int8 if name == "int8" else getattr(ml_dtypes, name)
        exact = (np.round(x / scale) if name == "int8" else x / scale).astype(kind).astype(np.float32) * scale
    np.testing.assert_allclose(once(rounded(name), x)[1], exact, rtol=1e-6)


def test_four_workers_average_parts_in_float32(draw):
    """Integers do not overflow, and the loss of the second rounding belongs to the worker that rounded."""
    x = draw.normal(size=(4, 2, 4)).astype(np.float32)
    own, mean = jax.jit(jax.vmap(lambda x: once(rounded("int8"), x, "w"), axis_name="w"))(x)
    parts = x.reshape(4, 4, 2)
    scales = np.abs(parts).max(-1, keepdims=True) / np.float32(127)
    average = (np.round(parts / scales) * scales).mean(0)
    second = np.abs(average).max(-1, keepdims=True) / np.float32(127)
    np.testing.assert_allclose(mean[2].reshape(4, 2), np.round(average / second) * second, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(own.mean(0), mean[0], atol=1e-6)


def test_zeros_stay_and_unknown_formats_are_named():
    assert not once(rounded("int8"), np.zeros((2, 2), np.float32))[1].any()
    with pytest.raises(ValueError, match="dtype='float16' is unknown; choose one of"):
        rounded("float16")
