"""Weights with and without an effect, against derivatives."""

import jax
import jax.numpy as jnp
import pytest

from compressjax.interpret.jaxpr._used import used


def test_those_whose_derivatives_are_not_zero_and_no_other():
    def fn(p, x, scale):
        h = jnp.tanh(x @ p["block"]["a"])
        unused = h @ p["block"]["b"]
        del unused
        return (h * p["out"]).sum() * scale

    p = {"block": {"a": jnp.ones((2, 3)), "b": jnp.ones((3, 3))}, "out": jnp.ones((1, 3)), "tail": jnp.ones(1)}
    slopes = jax.grad(fn)(p, jnp.ones((1, 2)), scale=2.0)
    acting = [path for path, g in (("block/a", slopes["block"]["a"]), ("block/b", slopes["block"]["b"]),
                                   ("out", slopes["out"]), ("tail", slopes["tail"])) if jnp.any(g != 0)]  # fmt: skip
    assert used(fn)(p, jnp.ones((1, 2)), scale=2.0) == acting == ["block/a", "out"]


def test_abstract_arrays_and_static_leaves():
    p = {"name": "net", "w": jax.ShapeDtypeStruct((2,), jnp.float32), "z": jax.ShapeDtypeStruct((2,), jnp.float32)}
    assert used(lambda p, x: x + p["z"])(p, jnp.ones(2)) == ["z"]


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint, lambda fn: jax.jit(jax.checkpoint(jax.jit(fn)))])
def test_calls_are_looked_into(wrap):
    def fn(p, x):
        inner = wrap(lambda a, b, x: (x * a, x * b))
        return inner(p["a"], p["b"], x)[0] + wrap(lambda a, c: a)(p["a"], p["c"])

    p = {name: jnp.ones(2) for name in "abc"}
    assert used(fn)(p, jnp.ones(2)) == ["a"]


def test_what_enters_a_loop_counts_as_used():
    def fn(p, x):
        return jax.lax.scan(lambda carry, _: ((carry[0] + p["a"], carry[1] * p["b"]), None), (x, x), length=2)[0][0]

    assert used(fn)({name: jnp.ones(2) for name in "ab"}, jnp.ones(2)) == ["a", "b"]
