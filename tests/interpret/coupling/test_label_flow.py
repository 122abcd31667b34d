"""Calls and control flow: masked equals narrowed through each of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret
from tests.interpret import cutting

DRAW = np.random.default_rng(0)
P = {"a": jnp.asarray(DRAW.normal(size=(3, 4)), jnp.float32), "b": jnp.asarray(DRAW.normal(size=(4, 2)), jnp.float32),
     "s": jnp.asarray(DRAW.normal(size=(5, 4)), jnp.float32)}  # fmt: skip
Q = {"a": P["a"], "b": P["b"]}
X = jnp.asarray(DRAW.normal(size=(2, 3)), jnp.float32)
SQUARE = jnp.asarray(DRAW.normal(size=(4, 4)), jnp.float32)


@jax.custom_vjp
def clipped(h):
    return h


clipped.defvjp(lambda h: (h, None), lambda _, g: (jnp.clip(g, -1, 1),))


@jax.custom_jvp
def doubled(h):
    return 2 * h


doubled.defjvps(lambda t, ans, h: 2 * t)


def loop(h, stop):
    return jax.lax.while_loop(lambda c: c[0] < stop, lambda c: (c[0] + 1, jnp.tanh(c[1])), (0, h))[1]


BETWEEN = {
    "jit": jax.jit(jnp.tanh),
    "nested": jax.jit(lambda h: jax.jit(jax.nn.relu)(h) * 2),
    "remat": jax.checkpoint(lambda h: jnp.sin(h) * 2),
    "custom_jvp": doubled,
    "custom_vjp": clipped,
    "vmap": jax.vmap(jnp.tanh),
    "while": lambda h: loop(h, 3),
    "cond": lambda h: jax.lax.cond(h.sum() > 0, jnp.tanh, lambda h: 2 * h, h),
    "switch": lambda h: jax.lax.switch(2, [jnp.tanh, jnp.sin, jax.nn.relu], h),
    "fori": lambda h: jax.lax.fori_loop(0, 3, lambda i, h: jnp.sin(h) + h, h),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_masked_equals_narrowed(name):
    assert cutting.agrees(lambda p, x: BETWEEN[name](x @ p["a"]) @ p["b"], Q, X) == ["a:1"]


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_couple_carries_rows_and_results(reverse):
    def fn(p, x):
        def step(h, row):
            h = jnp.tanh(h + row[None])
            return h, h * row[None]

        h, ys = jax.lax.scan(step, x @ p["a"], p["s"], reverse=reverse)
        return h @ p["b"] + jnp.einsum("tnh,ho->no", ys, p["b"])

    assert cutting.agrees(fn, P, X) == ["a:1"]
    frozen = {g.name: g.frozen for g in interpret.couplings(fn)(P, X)}
    assert "summed" in frozen["s:0"]  # its results of all turns are


def test_zeros_that_a_loop_loses_are_not_relied_on():
    def fn(p, x, grow):
        return jax.lax.fori_loop(0, 3, lambda i, h: h + grow, x @ p["a"]).sum(-1)

    frozen = {g.name: g.frozen for g in interpret.couplings(functools.partial(fn, grow=0.5))(P, X)}
    assert "not zero" in frozen["a:1"]
    assert cutting.agrees(functools.partial(fn, grow=0.0), P, X) == ["a:1"]


def test_branches_that_disagree_about_zeros():
    def fn(p, x):
        return jax.lax.cond(x.sum() > 0, jnp.cos, jnp.sin, x @ p["a"]).sum(-1)

    assert "not zero" in {g.name: g.frozen for g in interpret.couplings(fn)(P, X)}["a:1"]


def test_one_jitted_function_at_two_widths():
    act = jax.jit(lambda h: jax.nn.relu(h) + 0.0)

    def fn(p, x):
        return act(act(x @ p["a"]) @ p["c"]) @ p["b"]

    assert cutting.agrees(fn, {**Q, "c": SQUARE}, X) == ["a:1", "c:1"]


def test_shard_map_is_named_as_unknown():
    mesh = jax.make_mesh((1,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("d")
    inner = jax.shard_map(jnp.tanh, mesh=mesh, in_specs=spec, out_specs=spec)
    frozen = {g.name: g.frozen for g in interpret.couplings(lambda p, x: inner(x @ p["a"]) @ p["b"])(P, X)}
    assert "shard_map" in frozen["a:1"]
