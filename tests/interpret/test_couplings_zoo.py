"""Architectures with unusual channel layouts: masked equals narrowed, and no other group is frozen."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.interpret import cutting

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 4)), jnp.float32)


class Grouped(nn.Module):
    """GroupNorm: whole groups, or the same channels of every group."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.GroupNorm(num_groups=4)(nn.Conv(8, (3, 3))(x)))
        return nn.Dense(2)(nn.Conv(6, (1, 1))(x).reshape(2, -1))


class Gate(nn.Module):
    """Squeeze and excitation."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        s = nn.sigmoid(nn.Dense(8)(nn.relu(nn.Dense(4)(x.mean((1, 2))))))
        return nn.Dense(2)((x * s[:, None, None]).mean((1, 2)))


class Upward(nn.Module):
    """A transposed convolution and a resized image."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.ConvTranspose(6, (3, 3), strides=(2, 2))(x))
        return nn.Dense(2)(jax.image.resize(x, (2, 8, 8, 6), "bilinear").mean((1, 2)))


class Densely(nn.Module):
    """Features concatenated with all earlier ones."""

    @nn.compact
    def __call__(self, x):
        for _ in range(3):
            x = jnp.concatenate([x, nn.Conv(4, (3, 3))(nn.relu(x))], -1)
        return nn.Dense(2)(nn.relu(x).mean((1, 2)))


class Shuffled(nn.Module):
    """Channels mixed between the groups of grouped convolutions, and a depthwise one between."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (1, 1), feature_group_count=2)(x))
        n, h, w, c = x.shape
        x = x.reshape(n, h, w, 2, c // 2).swapaxes(3, 4).reshape(n, h, w, c)
        x = nn.relu(nn.Conv(8, (3, 3), feature_group_count=8)(x))
        return nn.Dense(2)(nn.Conv(6, (1, 1), feature_group_count=2)(x).mean((1, 2)))


class Pixels(nn.Module):
    """Channels that become positions."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        n, h, w, c = x.shape
        x = x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4)
        return nn.Dense(2)(x.mean((1, 2)))


class Vision(nn.Module):
    """A vision transformer with a class token, and norms of queries and keys."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (4, 4), strides=4)(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        token = self.param("token", nn.initializers.normal(), (1, 1, 8))
        x = jnp.concatenate([jnp.tile(token, (x.shape[0], 1, 1)), x], 1)
        x = x + self.param("places", nn.initializers.normal(), (1, 5, 8))
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=12, normalize_qk=True)(y)
        x = x + nn.Dense(8)(nn.gelu(nn.Dense(12)(nn.LayerNorm()(x))))
        return nn.Dense(2)(nn.LayerNorm()(x)[:, 0])


class BothWays(nn.Module):
    """A cell forward and another one backward."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(nn.Bidirectional(nn.RNN(nn.OptimizedLSTMCell(4)), nn.RNN(nn.GRUCell(6)))(x[:, 0]))


class Stacked(nn.Module):
    """Linen's own scan over rematerialized layers."""

    @nn.compact
    def __call__(self, x):
        class Layer(nn.Module):
            @nn.compact
            def __call__(self, carry, _):
                return carry + nn.Dense(8)(nn.relu(nn.Dense(12)(carry))), None

        layers = nn.scan(nn.remat(Layer), variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return nn.Dense(2)(layers()(nn.Dense(8)(x[:, 0]), None)[0])


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("model", "count"),
    [(Grouped, 3), (Gate, 2), (Upward, 1), (Densely, 3), (Shuffled, 3), (Pixels, 3), (Vision, 5), (BothWays, 2),
     (Stacked, 2)],
)  # fmt: skip
def test_masked_equals_narrowed(model, count):
    variables = cutting.filled(jax.eval_shape(model().init, jax.random.key(0), X))
    assert len(cutting.agrees(model().apply, variables, X)) == count
