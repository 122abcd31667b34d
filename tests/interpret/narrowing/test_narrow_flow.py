"""Narrowed control flow keeps its structure."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import interpret


def primitives(jaxpr):
    """Names of all operations, at any depth."""
    found = set()
    for eqn in jaxpr.eqns:
        found.add(eqn.primitive.name)
        for value in jax.tree.leaves(
            list(eqn.params.values()), is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found |= primitives(inner)
    return found


@pytest.mark.parametrize(
    ("between", "name"),
    [
        (lambda h: jax.lax.scan(lambda c, _: (jnp.tanh(c), None), h, length=3)[0], "scan"),
        (lambda h: jax.lax.while_loop(lambda c: c.sum() > 9, lambda c: c / 2, h), "while"),
        (lambda h: jax.lax.cond(h.sum() > 0, jnp.tanh, jnp.sin, h), "cond"),
        (jax.checkpoint(jnp.tanh), "checkpoint"),
    ],
)
def test_structure_stays(between, name):
    p = {"a": jnp.ones((3, 4)), "b": jnp.ones((4, 1))}
    run = interpret.narrow(lambda p, x: between(x @ p["a"]) @ p["b"], p, {"a:1": [1, 2]})
    small = {"a": p["a"][:, 1:3], "b": p["b"][1:3]}
    x = jnp.ones((1, 3))
    found = primitives(jax.make_jaxpr(run)(small, x).jaxpr)
    assert name in found or (name == "checkpoint" and "remat2" in found)
    assert jnp.allclose(run(small, x), between(x @ small["a"]) @ small["b"])
