"""The walk over a jaxpr, and what it leaves out."""

import jax
import jax.numpy as jnp
import pytest

from compressjax.interpret.jaxpr._calls import CALLS
from compressjax.interpret.jaxpr._walk import PLAIN_CALLS, body_of, effective, needed, walk


def count(jaxpr, args, **how):
    """Every variable holds the number of operations on the way to it."""
    return walk(jaxpr, needed(jaxpr), [], args, lambda _, eqn, inputs: [1 + sum(inputs)] * len(eqn.outvars), **how)


def test_values_flow_from_arguments_and_literals_to_results():
    jaxpr = jax.make_jaxpr(lambda x, y: (jnp.sin(x) * y, x, 3.0))(0.0, 0.0).jaxpr
    assert count(jaxpr, [0, 10], literal=lambda value: 100 * value) == [12, 0, 300]


def test_steps_get_the_numbers_of_their_equations():
    jaxpr = jax.make_jaxpr(lambda x: (jnp.sin(x), jnp.cos(x))[1])(0.0).jaxpr
    seen = []

    def step(number, eqn, inputs):
        seen.append((number, eqn.primitive.name))
        return inputs

    walk(jaxpr, enumerate(jaxpr.eqns), [], [0], step)
    walk(jaxpr, needed(jaxpr), [], [0], step)
    assert seen == [(0, "sin"), (1, "cos"), (1, "cos")]


def test_a_step_gives_one_value_a_result():
    jaxpr = jax.make_jaxpr(jnp.sin)(0.0).jaxpr
    with pytest.raises(ValueError, match="zip"):
        walk(jaxpr, needed(jaxpr), [], [0], lambda number, eqn, inputs: [])


def test_equations_without_use_are_left_out():
    def fn(x):
        unused = jnp.sort(x)
        del unused
        return x + 1.0

    assert [eqn.primitive.name for _, eqn in needed(jax.make_jaxpr(fn)(jnp.ones(3)).jaxpr)] == ["add"]


def test_arguments_that_act_directly_or_as_results():
    jaxpr = jax.make_jaxpr(lambda a, b, c, d: (jnp.sin(a), b, jnp.cos(c) + d)[:2])(0.0, 0.0, 0.0, 0.0).jaxpr
    assert effective(jaxpr) == [True, True, False, False]


@jax.custom_jvp
def own(x):
    return jnp.sin(x)


own.defjvps(lambda t, ans, x: t * jnp.cos(x))


@pytest.mark.parametrize("call", [jax.jit(jnp.sin), jax.checkpoint(jnp.sin), own], ids=["jit", "remat", "custom_jvp"])
def test_bodies_of_calls(call):
    jaxpr, consts = body_of(jax.make_jaxpr(call)(0.0).eqns[0])
    assert [each.primitive.name for each in jaxpr.eqns] == ["sin"]
    assert not consts


def test_every_call_but_shard_map_is_plain():
    assert set(CALLS) == {*PLAIN_CALLS, "shard_map"}
