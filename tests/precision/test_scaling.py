"""Scales of 8-bit floats by hand and against the functions of Flax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import fp8_ops

from compressjax.precision import _scaling as scaling
from compressjax.precision._formats import FLOATS

E4M3 = FLOATS["float8_e4m3fn"]


def test_history_and_scale_by_hand():
    """The newest first, the oldest goes; the scale is the largest of the history over the largest number."""
    history, scale = jnp.array([3.0, 5.0, 4.0]), jnp.float32(1.0)
    assert scaling.recorded(jnp.array([-7.0, 1.0]), history, None).tolist() == [7.0, 4.0, 3.0]
    assert float(scaling.updated(scale, history, E4M3, 0.0)) * 448 == pytest.approx(5.0)
    assert float(scaling.updated(scale, history, E4M3, 2.0)) * 448 == pytest.approx(20.0)
    assert float(scaling.updated(jnp.float32(0.25), jnp.zeros(3), E4M3, 0.0)) == 0.25
    # Overflow leaves no trace.
    assert scaling.recorded(jnp.array([np.inf, 1.0]), history, None).tolist() == [0.0, 4.0, 3.0]
    x = scaling.on_scale(jnp.array([1000.0, 3.0, np.inf, np.nan]), jnp.float32(2.0), E4M3)
    np.testing.assert_array_equal(x, [896.0, 3.0, np.inf, np.nan])


def test_states_are_those_of_flax(draw):
    """Three steps of an operand, bit for bit: result, scale and history."""
    scale, history, own = jnp.ones(1), jnp.zeros(2), (jnp.float32(1.0), jnp.zeros(2))

    @jax.jit
    def both(x, theirs, ours):
        y, *pull = jax.vjp(lambda *a: fp8_ops.in_qdq(jnp.float32, jnp.float8_e4m3fn, *a), x, *theirs)
        z, *push = jax.vjp(lambda *a: scaling.forward(E4M3, scaling.Delay(0.0, None), *a), x, *ours)
        return (y, *pull[0](x)[1:]), (z, *push[0](x)[1:])

    for size in (3.0, 50.0, 0.1):
        x = (draw.normal(size=(4, 8)) * size).astype(np.float32)
        theirs, ours = both(x, (scale, history), own)
        for a, b in zip(theirs, ours, strict=True):
            np.testing.assert_array_equal(np.ravel(a), np.ravel(b))
        (_, scale, history), own = theirs, ours[1:]
    assert float(own[1][0]) == np.abs(x).max()
