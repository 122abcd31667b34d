"""Indexing: axes that are read or written whole can be pruned, axes that data indexes are frozen."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import interpret
from tests.interpret import cutting
from tests.interpret.cutting import normal


@pytest.mark.parametrize(
    ("fn", "count"),
    [
        (lambda p, x: (x @ p["a"])[jnp.array([1, 0])] @ p["b"], 1),
        (lambda p, x: jax.lax.dynamic_slice_in_dim(x @ p["a"], x.shape[0] - 2, 2) @ p["b"], 1),
        (lambda p, x: jax.lax.dynamic_update_slice_in_dim(x @ p["a"], x[:1] @ p["a"], 1, 0) @ p["b"], 1),
        (lambda p, x: (x @ p["a"]).at[:, 1].set(0.0) @ p["b"], 0),
        (lambda p, x: jnp.take(x @ p["a"], jnp.array([0, 1]), axis=1) @ p["b"][:2], 0),
        (lambda p, x: jax.lax.dynamic_slice_in_dim(x @ p["a"], 1, 2, 1) @ p["b"][:2], 0),
        (lambda p, x: jnp.zeros_like(x @ p["a"]).at[jnp.array([2, 0, 1, 3])].set(x @ p["a"]) @ p["b"], 1),
        (lambda p, x: (x @ p["a"]).at[1].add((x @ p["a"])[0]) @ p["b"], 1),
        (lambda p, x: jnp.zeros((4, 6)).at[:, :4].set(x @ p["a"])[:, :4] @ p["b"], 0),
    ],
)
def test_small_functions(fn, count):
    assert len(cutting.free_units(fn)) == count


def test_batched_updates():
    """Under `vmap`, updates share an axis with what they update."""

    def fn(p, x):
        h = x @ p["a"]
        return jax.vmap(lambda row, i, new: row.at[i].set(new))(h, jnp.array([0, 1, 2, 1]), h[:, 2] * 2.0) @ p["b"]

    p = {"a": normal(3, 4), "b": normal(4, 2)}
    assert {g.name: g.frozen for g in interpret.couplings(fn)(p, normal(4, 3))}["a:1"]


def test_embedding_tied_to_the_head():
    p = {"embed": normal(7, 6), "mix": normal(6, 6)}

    def fn(p, tokens):
        x = p["embed"][tokens]
        return (x + jax.nn.relu(x @ p["mix"])) @ p["embed"].T

    assert cutting.agrees(fn, p, jnp.array([0, 3, 6])) == ["embed:1"]
