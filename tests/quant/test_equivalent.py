"""Scales of inputs on leaves of any layout, and groups that share one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, quant
from compressjax.interpret import observe
from compressjax.quant._equivalent import Reader, safe
from tests import helpers


def reader(fn, w, x):
    return Reader("w", w, *(lambda s: (s, s.layout))(observe(lambda p, x: fn(p["w"], x))({"w": w}, x)[1]["w"]))


def test_a_scale_lies_along_the_inputs_of_any_layout():
    w, x = helpers.array(0, (4, 6)), helpers.array(1, (9, 6))
    found = reader(lambda w, x: x @ w.T, w, x)
    np.testing.assert_array_equal(found.largest(), np.abs(x).max(0)[None])
    np.testing.assert_array_equal(found.largest_weights(), np.abs(w).max(0)[None])
    np.testing.assert_array_equal(found.on_leaf(jnp.arange(6.0)[None]), np.arange(6.0)[None])
    stack = reader(
        lambda w, x: jnp.einsum("nbi,bio->nbo", x, w), helpers.array(0, (2, 6, 3)), helpers.array(1, (9, 2, 6))
    )
    np.testing.assert_array_equal(stack.on_leaf(jnp.arange(12.0).reshape(2, 6)), np.arange(12.0).reshape(2, 6, 1))


def test_a_convolution_has_one_scale_per_channel():
    w, x = helpers.array(0, (5, 2, 3, 3)), helpers.array(1, (4, 2, 6, 6))
    fn = lambda w, x: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"))  # noqa: E731
    found = reader(fn, w, x)
    largest = np.abs(x).max((0, 2, 3))
    block = found.on_leaf(found.largest())
    np.testing.assert_array_equal(block, largest.reshape(1, 2, 1, 1))
    np.testing.assert_array_equal(found.on_leaf(found.largest_weights()).ravel(), np.abs(w).max((0, 2, 3)))


def test_inputs_that_say_nothing_keep_one():
    known = jnp.array([True, False, True, True])
    assert safe(jnp.array([2.0, 3.0, 0.0, jnp.inf]), known).tolist() == [2.0, 1.0, 1.0, 1.0]


@pytest.mark.thorough
def test_groups_share_a_scale_and_must_be_there():
    params = {"q": helpers.array(0, (6, 4)), "k": 3 * helpers.array(1, (6, 4)), "o": helpers.array(2, (4, 3))}
    fn = lambda p, x: ((x @ p["q"]) * (x @ p["k"])) @ p["o"]  # noqa: E731
    _, stats = observe(fn)(params, helpers.array(3, (20, 6)))
    for method in (quant.smooth_quant, quant.awq):
        alone = core.compress(params, {".*": method()}, stats)
        assert (np.asarray(alone["q"].scale) != np.asarray(alone["k"].scale)).any() or method is quant.awq
        shared = core.compress(params, {".*": method(shared=[("q", "k")])}, stats)
        np.testing.assert_array_equal(shared["q"].scale, shared["k"].scale)
        with pytest.raises(ValueError, match=r"shared= names \['v'\].*the kernels that fit are \['k', 'o', 'q'\]"):
            core.compress(params, {".*": method(shared=[("q", "v")])}, stats)
        rows = interpret.explain(fn)(alone, jnp.ones((2, 6)))
        assert {row.status for row in rows} <= {"native", "dense"}
