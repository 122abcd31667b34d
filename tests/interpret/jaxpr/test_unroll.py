"""Loops over weights are written out, and compute the same; loops over data stay."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.interpret.jaxpr._unroll import unrolled


def names(fn, *args):
    return [eqn.primitive.name for eqn in jax.make_jaxpr(fn)(*args).jaxpr.eqns]


def test_a_loop_over_layers_is_written_out_and_one_over_data_stays(draw):
    def fn(p, x):
        def layer(h, w):
            h = jax.nn.relu(h @ w)
            return h, h.sum()

        h, sums = jax.lax.scan(layer, x, p["w"], reverse=True)
        return jax.lax.scan(lambda c, row: (c + row, c), jnp.zeros(3), h)[1], sums

    p, x = {"w": jnp.asarray(draw.normal(size=(4, 3, 3)), jnp.float32)}, jnp.ones((2, 3))
    found = names(unrolled(fn), p, x)
    assert (found.count("dot_general"), found.count("scan"), found.count("custom_jvp_call")) == (4, 1, 4)
    for ours, theirs in zip(unrolled(fn)(p, x), fn(p, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
