"""NNX modules on shrunk states remember the new widths and compute what the shrunk function does."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from compressjax import structure
from compressjax.modules import resize_nnx
from tests.interpret import cutting


class Net(nnx.Module):
    """Convolutions (one depthwise) with a norm, then attention over positions and a dense layer."""

    def __init__(self, rngs):
        self.conv, self.norm = nnx.Conv(1, 6, (3, 3), rngs=rngs), nnx.BatchNorm(6, use_running_average=True, rngs=rngs)
        self.deep = nnx.Conv(6, 12, (3, 3), feature_group_count=6, rngs=rngs)
        self.att = nnx.MultiHeadAttention(4, 12, 16, decode=False, rngs=rngs)
        self.general = nnx.LinearGeneral(12, (2, 3), rngs=rngs)
        self.out = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.deep(nnx.relu(self.norm(self.conv(x)))))
        x = self.att(x.reshape(x.shape[0], -1, x.shape[-1]))
        x = self.general(x.mean(1))
        return self.out(nnx.relu(x.reshape(x.shape[0], -1)))


def test_resized_module_computes_what_the_shrunk_function_does():
    model = Net(nnx.Rngs(0))
    definition, state = nnx.split(model)
    state = cutting.filled(state)
    x = cutting.filled(jnp.ones((2, 4, 4, 1)))
    heads = "att/key/kernel:1"
    small = structure.shrink(lambda s, x: nnx.merge(definition, s)(x), state, x, keep=0.5,
                             select=lambda name, group: name == heads or "conv/kernel" in name)  # fmt: skip
    smaller = resize_nnx(model, small.params)
    want = jax.jit(small.fn)(small.params, x)
    np.testing.assert_allclose(nnx.jit(smaller)(x), want, rtol=1e-4, atol=1e-4)
    assert smaller.att.num_heads == 2
    assert smaller.att.qkv_features == 8
    assert (smaller.conv.out_features, smaller.norm.num_features) == (3, 3)
    assert (smaller.deep.feature_group_count, smaller.deep.in_features, smaller.deep.out_features) == (3, 3, 6)
    assert model.att.num_heads == 4
    assert model.norm.num_features == 6


def test_embeddings_and_general_layers():
    general = nnx.LinearGeneral(4, (2, 3), rngs=nnx.Rngs(0))
    cut = jax.tree.map(lambda x: x[..., :2], nnx.state(general))
    assert resize_nnx(general, cut).out_features == (2, 2)
    embed = nnx.Embed(5, 4, rngs=nnx.Rngs(0))
    cut = jax.tree.map(lambda x: x[:, :3], nnx.state(embed))
    assert resize_nnx(embed, cut).features == 3
