"""Equations run unchanged, under the settings and names with which they were traced."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret
from compressjax.interpret.jaxpr._bind import Context, bind
from tests.interpret import samples


def scopes(f: Any, *args: Any) -> set[str]:
    """The scope paths of a program's operations, without what the compiler adds."""
    # Else an equal program with other names might come from the cache.
    before = jax.config.jax_compilation_cache_include_metadata_in_key
    jax.config.update("jax_compilation_cache_include_metadata_in_key", True)
    try:
        text = jax.jit(f).lower(*args).compile().as_text()
    finally:
        jax.config.update("jax_compilation_cache_include_metadata_in_key", before)
    names = re.findall(r'op_name="([^"]*)"', text)
    return {name.split("/", 1)[1].rsplit("/", 1)[0] for name in names if "/" in name}


def test_one_and_several_results() -> None:
    eqns = jax.make_jaxpr(lambda x: jnp.split(jnp.sin(x), 2))(jnp.arange(4.0)).eqns
    (sine,) = bind(eqns[0], [jnp.arange(4.0)])
    np.testing.assert_allclose(sine, np.sin(np.arange(4.0)), rtol=1e-6)
    split = next(e for e in eqns if e.primitive.name == "split")
    assert [part.tolist() for part in bind(split, [jnp.arange(4.0)])] == [[0.0, 1.0], [2.0, 3.0]]


def test_named_scopes_reach_the_compiled_program() -> None:
    node, x = samples.low_rank(samples.rng(), (4, 3)), jnp.ones((2, 4))

    def f(w: Any, x: jax.Array) -> jax.Array:
        with jax.named_scope("encoder"):
            with jax.named_scope("kernel"):
                y = x @ w
            return jnp.tanh(y)

    found = scopes(interpret.lift(f), node, x)
    assert "encoder/kernel" in found
    assert "encoder" in found
    around = jax.named_scope("outer")(interpret.lift(f))
    assert "outer/encoder/kernel" in scopes(around, node, x)


def test_settings_of_an_equation() -> None:
    """An equation traced under a setting runs under it, for any setting outside."""

    def f(key: jax.Array) -> jax.Array:
        with jax.threefry_partitionable(False):
            return jax.random.bits(jax.random.wrap_key_data(key), (3,))

    key = jnp.array([0, 7], jnp.uint32)
    node = samples.low_rank(samples.rng(), (4, 3))
    assert (f(key) != jax.random.bits(jax.random.wrap_key_data(key), (3,))).any()
    got = interpret.lift(lambda w, k: (f(k), jnp.ones((1, 4)) @ w))(node, key)[0]
    np.testing.assert_array_equal(got, f(key))
    eqn = jax.make_jaxpr(jnp.sin)(0.0).eqns[0]
    with Context() as context:
        context.enter(eqn)
        context.enter(eqn)
        assert bind(eqn, [0.0])[0] == 0.0


def test_settings_end_with_the_program_even_when_it_fails() -> None:
    def f(x: jax.Array) -> jax.Array:
        with jax.named_scope("inner"), jax.threefry_partitionable(False):
            return jnp.sin(x)

    eqn = jax.make_jaxpr(f)(0.0).eqns[0]

    def fail() -> None:
        with Context() as context:
            context.enter(eqn)
            assert not jax.config.jax_threefry_partitionable
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert jax.config.jax_threefry_partitionable
    assert "inner" not in scopes(lambda x: x + 1, 0.0)
