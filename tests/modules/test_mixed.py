"""The Linen wrapper of mixed precision against the function that it wraps."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compressjax import modules, precision
from tests.helpers import array

X = array(0, (5, 8))
KEYS = {"params": jax.random.key(0), "dropout": jax.random.key(1)}


class Block(nn.Module):
    """Parameters, statistics and random numbers."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(6)(x))
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(nn.relu(x)))


def test_the_wrapper_is_the_function_under_the_policy():
    wrapped, plain = modules.Mixed(Block(), "bf16"), Block()
    variables = jax.jit(wrapped.init)(KEYS, X)
    assert jax.tree.structure(variables) == jax.tree.structure(jax.eval_shape(plain.init, KEYS, X))

    @jax.jit
    def both(v):
        def trained(model):
            return model.apply(v, X, True, rngs=KEYS, mutable=["batch_stats"])[1]

        run = precision.mixed(lambda p: plain.apply({**v, "params": p}, X))
        return (wrapped.apply(v, X), trained(wrapped)), run(v["params"]), plain.apply(v, X)

    (out, stats), expected, wide = both(variables)
    np.testing.assert_array_equal(out, expected)
    assert not np.array_equal(out, wide)
    np.testing.assert_allclose(out, wide, atol=0.1)
    kernel = variables["params"]["Dense_0"]["kernel"].astype(jnp.bfloat16)
    mean = np.asarray((X.astype(jnp.bfloat16) @ kernel).astype(jnp.float32)).mean(0)
    np.testing.assert_allclose(stats["batch_stats"]["BatchNorm_0"]["mean"], 0.01 * mean, rtol=1e-4, atol=1e-6)
