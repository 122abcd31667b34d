"""The NNX wrapper of mixed precision."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from compressjax import modules
from tests.helpers import array

X = array(0, (5, 8))


class Block(nnx.Module):
    """Parameters and statistics."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense, self.norm = nnx.Linear(8, 6, rngs=rngs), nnx.BatchNorm(6, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.dense(x))


def test_products_are_narrow_and_statistics_are_kept():
    wrapped, plain = modules.NNXMixed(Block(nnx.Rngs(0)), "bf16"), Block(nnx.Rngs(0))
    dense = (X.astype(jnp.bfloat16) @ plain.dense.kernel[...].astype(jnp.bfloat16)).astype(jnp.float32)
    out = nnx.jit(lambda m, x: m(x))(wrapped, X)
    expected = nnx.jit(lambda m, x: m(x))(plain.norm, dense)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(wrapped.module.norm.mean[...], plain.norm.mean[...], rtol=1e-5, atol=1e-6)
    assert float(np.abs(wrapped.module.norm.mean[...]).max()) > 0
    grads = nnx.grad(lambda m: jnp.sum(m(X) ** 2))(wrapped)
    assert grads["module"]["dense"]["kernel"][...].dtype == jnp.float32
