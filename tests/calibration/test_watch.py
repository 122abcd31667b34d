"""The handler records wanted leaves alone."""

import jax.numpy as jnp
import numpy as np

from compressjax import quant
from compressjax.calibration._segment import interpret
from compressjax.calibration._watch import Watch
from compressjax.core import compress
from compressjax.interpret.jaxpr._line import inputs_of, line_of


def records(fn, params, x, wanted):
    line, watch = line_of(fn, params, (x,)), Watch(frozenset(wanted), True)
    known = dict(zip(line.inputs, inputs_of((x,)), strict=True))
    interpret(line, range(len(line.equations)), params, known, watch)
    return {key.path: s for key, s in watch.collected().items()}


def test_only_the_wanted_are_recorded():
    params, x = {"a": jnp.eye(3), "b": jnp.ones((3, 2))}, jnp.ones((4, 3))
    found = records(lambda p, x: (x @ p["a"]) @ p["b"] + x @ p["b"], params, x, {"b"})
    assert list(found) == ["b"]
    np.testing.assert_array_equal(found["b"].gram, 8 * np.ones((3, 3)))


def test_a_wanted_part_of_a_concatenation_beside_a_node():
    params, x = {"a": jnp.eye(3) + 0.1, "b": jnp.ones((3, 2))}, jnp.ones((4, 3))
    params |= compress({"a": params["a"]}, quant.rtn(8))

    def fn(p, x):
        return x @ jnp.concatenate([p["a"], p["b"]], 1)

    np.testing.assert_array_equal(records(fn, params, x, {"b"})["b"].gram, 4 * np.ones((3, 3)))
    assert records(fn, params, x, {"c"}) == {}


def test_a_sum_with_a_node_is_followed():
    params, x = {"a": jnp.eye(3) + 0.1, "b": jnp.ones((3, 3))}, jnp.ones((4, 3))
    params |= compress({"a": params["a"]}, quant.rtn(8))
    found = records(lambda p, x: x @ (2.0 * p["a"] + p["b"]), params, x, {"b"})
    assert float(found["b"].count) == 4
