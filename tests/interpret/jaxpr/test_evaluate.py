"""The interpreter itself: without weights it is the identity; effects, collectives and keys pass through."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret
from compressjax.interpret.jaxpr._evaluate import RULES, evaluate
from compressjax.interpret.jaxpr._weight import Weight
from tests.interpret import samples


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Functions without weights that use what jaxprs can hold."""
    x = jnp.arange(6.0).reshape(2, 3)
    key = jax.random.key(3)
    return {
        "constants": (lambda x: x + jnp.array([[1.0, 2.0, 3.0]]), (x,)),
        "several results": (lambda x: (x, x.sum(), jnp.sort(x)), (x,)),
        "a result that is an argument": (lambda x, y: (y, x), (x, 2 * x)),
        "a result that is a literal": (lambda x: (1.0, x), (x,)),
        "keys": (lambda x, k: x + jax.random.normal(k, x.shape), (x, key)),
        "scan": (lambda x: jax.lax.scan(lambda c, r: (c + r, c), x[0], x), (x,)),
        "while": (lambda x: jax.lax.while_loop(lambda c: c.sum() < 99, lambda c: c * 2, x), (x,)),
        "cond": (lambda x: jax.lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x), (x,)),
        "remat": (jax.checkpoint(jnp.sin), (x,)),
        "sorting and linear algebra": (lambda x: jnp.linalg.svd(x)[1], (x,)),
        "nothing": (lambda x: (), (x,)),
    }


@pytest.mark.parametrize("name", programs())
def test_without_weights_the_program_is_the_same(name: str) -> None:
    f, args = programs()[name]
    closed = jax.make_jaxpr(f)(*args)
    again = jax.make_jaxpr(lambda *a: evaluate(closed.jaxpr, closed.consts, a, None))(*args)
    assert [e.primitive for e in closed.eqns] == [e.primitive for e in again.eqns]
    out = evaluate(closed.jaxpr, closed.consts, args, None)
    for got, asked in zip(out, jax.tree.leaves(f(*args)), strict=True):
        np.testing.assert_array_equal(got, asked)


def test_every_rule_names_an_operation_that_the_interpreter_enters() -> None:
    assert {"jit", "scan", "while", "cond", "custom_jvp_call", "custom_vjp_call", "shard_map"} <= set(RULES)
    assert {"remat2", "checkpoint"} & set(RULES)


def test_weights_pass_through_as_they_are() -> None:
    closed = jax.make_jaxpr(lambda w, x: (x, w))(jnp.ones((2, 3)), 1.0)
    weight = Weight(samples.codebook(samples.rng(), 2, 3), "w")
    out = evaluate(closed.jaxpr, closed.consts, [weight, 2.0], None)
    assert out[1] is weight


def test_effects_happen_once_and_in_order() -> None:
    seen: list[float] = []
    node = samples.low_rank(samples.rng(), (3, 2))

    def f(w: Any, x: jax.Array) -> jax.Array:
        jax.debug.callback(lambda v: seen.append(float(v)), x.sum(), ordered=True)
        y = x @ w
        jax.debug.callback(lambda v: seen.append(-1.0), y.sum(), ordered=True)
        return y

    jax.block_until_ready(jax.jit(interpret.lift(f))(node, jnp.ones((2, 3))))
    jax.effects_barrier()
    assert seen == [6.0, -1.0]


def test_collectives_know_their_axis() -> None:
    node, x = samples.low_rank(samples.rng(), (3, 2)), samples.floats(samples.rng(1), 4, 5, 3)
    f = lambda w, x: jax.lax.pmean(x @ w, "batch")  # noqa: E731
    got = jax.vmap(lambda x: interpret.lift(f)(node, x), axis_name="batch")(x)
    samples.assert_close(got[0], np.asarray(x).mean(0) @ np.asarray(node.materialize()))
