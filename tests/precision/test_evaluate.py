"""Which types operations run in, read off the jaxpr of the transformed function."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import precision
from compressjax.interpret.jaxpr._walk import body_of

X = jnp.ones((4, 8))
BF16 = "bfloat16"


def kinds(fn, *args):
    """Types of the results of every operation, by its name, at any depth."""
    found = {}

    def visit(jaxpr):
        for eqn in jaxpr.eqns:
            for var in eqn.outvars:
                found.setdefault(eqn.primitive.name, []).append(var.aval.dtype.name)
            if "jaxpr" in eqn.params or "call_jaxpr" in eqn.params:
                visit(body_of(eqn)[0])

    visit(jax.make_jaxpr(fn)(*args).jaxpr)
    return found


def test_products_are_narrow_and_sums_are_wide():
    def block(w, b, scale, x):
        h = jnp.tanh(x @ w + b)
        mean = h.mean(-1, keepdims=True)
        h = (h - mean) * jax.lax.rsqrt(jnp.var(h, -1, keepdims=True) + 1e-6) * scale
        return jax.nn.softmax(jnp.where(x[:, :1] > 0, h @ w, -1e9))

    args = jnp.ones((8, 8)), jnp.ones(8), jnp.ones(8), X
    with jax.numpy_rank_promotion("allow"):
        found = kinds(precision.mixed(block), *args)
    assert set(found["dot_general"]) == {BF16}
    for name in ("reduce_sum", "exp", "rsqrt", "integer_pow", "square"):
        assert set(found.get(name, ["float32"])) == {"float32"}, name
    assert found["tanh"] == [BF16]
    assert BF16 in found["select_n"]
    wide = precision.policy(reduce=BF16, output=BF16)
    with jax.numpy_rank_promotion("allow"):
        assert set(kinds(precision.mixed(block, wide), *args)["reduce_sum"]) == {BF16}


def test_gradients_of_parameters_are_summed_wide():
    """4,096 gradients of a bias, of a factor, and of what a product gives: in bfloat16, their sum would stop at 256."""

    def loss(b, t, x):
        h = (x @ jnp.eye(2) + b[None]) * t
        return jnp.sum(h * jnp.broadcast_to((b @ jnp.eye(2))[None], h.shape))

    args = jnp.ones(2), jnp.ones(()), jnp.ones((4096, 2))
    grads = jax.jit(jax.grad(precision.mixed(loss), argnums=(0, 1)))(*args)
    assert [g.tolist() for g in grads] == [[3 * 4096.0] * 2, 4 * 4096.0]
    found = kinds(jax.grad(precision.mixed(loss), argnums=(0, 1)), *args)
    assert set(found["reduce_sum"]) == {"float32"}


def test_other_types_stay():
    run = precision.mixed(lambda n, x: (n + 1, x.astype(jnp.float16) * 2, jnp.cumsum(x), n @ n))
    n, half, sums, square = run(jnp.arange(2), X)
    assert (n.dtype, half.dtype, sums.dtype, square.dtype) == (jnp.int32, jnp.float16, jnp.float32, jnp.int32)
    np.testing.assert_array_equal(sums, jnp.cumsum(X))


def test_a_policy_of_float32_changes_nothing(draw):
    x = draw.normal(size=(4, 4)).astype(np.float32)
    run = precision.mixed(lambda x: jax.nn.softmax(x @ x), "float32")
    np.testing.assert_array_equal(jax.jit(run)(x), jax.jit(lambda x: jax.nn.softmax(x @ x))(x))
