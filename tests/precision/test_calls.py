"""Loops, branches and calls under a policy: the same as the layers written one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import precision


def layer(w, x):
    return jax.nn.relu(x @ w)


def loop(w, x):
    return jax.lax.scan(lambda h, w: (layer(w, h), h.sum()), x, w)


def open_loop(w, x):
    return jax.lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, layer(w[s[0]], s[1])), (0, x))[1]


def branches(w, x):
    return jax.lax.cond(x.sum() > 1e6, lambda: x, lambda: layer(w[1], layer(w[0], x)))


def rematerialized(w, x):
    return jax.checkpoint(layer)(w[1], jax.checkpoint(layer)(w[0], x))


@pytest.mark.parametrize("fn", [loop, open_loop, branches, rematerialized])
def test_bodies_are_evaluated(fn, draw):
    w = draw.normal(size=(2, 4, 4)).astype(np.float32)
    x = draw.normal(size=(3, 4)).astype(np.float32)

    def narrow(w, x):
        return jax.nn.relu((x.astype(jnp.bfloat16) @ w.astype(jnp.bfloat16)).astype(jnp.float32))

    exact = narrow(w[1], narrow(w[0], x))
    got = jax.jit(precision.mixed(fn))(w, x)
    got = got[0] if fn is loop else got
    np.testing.assert_array_equal(got, exact)
    assert not np.array_equal(got, layer(w[1], layer(w[0], x)))
    if fn is not open_loop:
        grad = jax.jit(jax.grad(lambda w: jnp.sum(jax.tree.leaves(precision.mixed(fn)(w, x))[0])))(w)
        near = jax.grad(lambda w: jnp.sum(layer(w[1], layer(w[0], x))))(w)
        np.testing.assert_allclose(grad, near, rtol=0.05, atol=0.1)


def test_rules_for_derivatives_stay():
    @jax.custom_vjp
    def doubled(x):
        return x * 1.0

    doubled.defvjp(lambda x: (x * 1.0, None), lambda _, g: (2 * g,))
    run = precision.mixed(lambda w: jnp.sum(doubled(w @ jnp.eye(2))))
    assert jax.grad(run)(jnp.ones((2, 2))).tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_shards_run_the_same(draw):
    mesh = jax.make_mesh((2,), ("d",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:2])
    spec = jax.sharding.PartitionSpec
    x, w = draw.normal(size=(4, 4)).astype(np.float32), draw.normal(size=(4, 4)).astype(np.float32)
    split = jax.shard_map(layer, mesh=mesh, in_specs=(spec(), spec("d")), out_specs=spec("d"))
    got = jax.jit(precision.mixed(split))(w, x)
    np.testing.assert_array_equal(got, precision.mixed(layer)(w, x))
