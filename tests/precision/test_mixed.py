"""Whole functions under a policy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core, lift, precision, prune

MODEL = nn.Sequential([nn.Dense(8), nn.relu, nn.LayerNorm(), nn.Dense(3)])
X = jnp.linspace(-1, 1, 20).reshape(4, 5)


def test_narrow_parameters_are_traced_in_float32():
    """Parameters that are stored in bfloat16 give the same as their float32 copies; gradients have their type."""
    params = jax.jit(MODEL.init)(jax.random.key(0), X)
    short = precision.policy(params="bf16").cast_params(params)
    run = jax.jit(jax.value_and_grad(lambda p: jnp.sum(precision.mixed(MODEL.apply)(p, X) ** 2)))
    (value, grads), (exact, wide) = run(short), run(jax.tree.map(lambda x: x.astype(jnp.float32), short))
    assert float(value) == float(exact)
    for g, w in zip(jax.tree.leaves(grads), jax.tree.leaves(wide), strict=True):
        assert g.dtype == jnp.bfloat16
        np.testing.assert_array_equal(g, w.astype(jnp.bfloat16))


def test_at_the_boundary_only():
    run = precision.mixed(lambda x, n: (x.dtype, x * 2, n), "fp16", interpret=False)
    dtype, x, n = run(jnp.ones(2), n=jnp.arange(2))
    assert (dtype, x.dtype, n.dtype) == (jnp.float16, jnp.float32, jnp.int32)


def test_nodes_run_inside_lift():
    params = jax.jit(MODEL.init)(jax.random.key(0), X)
    tree = core.compress(params, {".*kernel": prune.magnitude(0.5)})
    got = jax.jit(precision.mixed(lift(MODEL.apply, on_fallback="ignore")))(tree, X)
    exact = precision.mixed(MODEL.apply)(core.materialize(tree), X)
    np.testing.assert_allclose(got, exact, rtol=0.02, atol=0.02)


def test_training_in_bfloat16_ends_where_float32_does(draw):
    x = draw.normal(size=(64, 5)).astype(np.float32)
    y = x @ draw.normal(size=(5, 3)).astype(np.float32)
    params, tx = jax.jit(MODEL.init)(jax.random.key(0), x), optax.adam(0.02)

    def end(apply):
        def loss(p):
            return jnp.mean((apply(p, x) - y) ** 2)

        def step(carry, _):
            p, s = carry
            updates, s = tx.update(jax.grad(loss)(p), s)
            return (optax.apply_updates(p, updates), s), None

        (p, _), _ = jax.lax.scan(step, (params, tx.init(params)), length=60)
        return loss(p)

    narrow, wide, start = jax.jit(lambda: (end(precision.mixed(MODEL.apply)), end(MODEL.apply), jnp.mean(y**2)))()
    assert wide < 0.2 * start
    assert abs(narrow - wide) < 0.1 * wide
