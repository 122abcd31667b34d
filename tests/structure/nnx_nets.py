"""The six families in NNX: the layers of Flax where it has them, and the state as the tree of weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from tests.interpret import cutting


def split(kind: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Any, Any]:
    """A function of the state, and a state of random numbers; keys of random streams stay what they are."""
    definition, state = nnx.split(nnx.eval_shape(lambda: kind(nnx.Rngs(0))))
    streams = jax.jit(lambda: nnx.state(kind(nnx.Rngs(0)), nnx.RngState))()
    return (lambda s, *args: nnx.merge(definition, s)(*args)), cutting.filled(nnx.merge_state(state, streams))


class Mlp(nnx.Module):
    """Two hidden layers."""

    def __init__(self, rngs: nnx.Rngs):
        self.a, self.b = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 6, rngs=rngs)
        self.out = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits."""
        return self.out(jnp.tanh(self.b(nnx.relu(self.a(x)))))


class Block(nnx.Module):
    """A residual block with BatchNorm, and a projection where the widths differ."""

    def __init__(self, inputs: int, mid: int, width: int, stride: int, rngs: nnx.Rngs):
        self.a = nnx.Conv(inputs, mid, (3, 3), strides=stride, use_bias=False, rngs=rngs)
        self.b = nnx.Conv(mid, width, (3, 3), use_bias=False, rngs=rngs)
        self.na, self.nb = (nnx.BatchNorm(n, use_running_average=True, rngs=rngs) for n in (mid, width))
        self.way = nnx.Conv(inputs, width, (1, 1), strides=stride, rngs=rngs) if inputs != width else lambda x: x

    def __call__(self, x: jax.Array) -> jax.Array:
        """Two convolutions and the way around them."""
        return nnx.relu(self.way(x) + self.nb(self.b(nnx.relu(self.na(self.a(x))))))


class ResNet(nnx.Module):
    """A stem and two residual blocks, the second with a projection."""

    def __init__(self, rngs: nnx.Rngs):
        self.stem, self.norm = nnx.Conv(1, 4, (3, 3), rngs=rngs), nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
        self.first, self.second = Block(4, 6, 4, 1, rngs), Block(4, 10, 8, 2, rngs)
        self.out = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits."""
        return self.out(self.second(self.first(nnx.relu(self.norm(self.stem(x))))).mean((1, 2)))


class Separable(nnx.Module):
    """Depthwise convolutions with and without a multiplier, a grouped one, pooling, and a flattened dense layer."""

    def __init__(self, rngs: nnx.Rngs):
        self.stem, self.depth = (
            nnx.Conv(1, 8, (3, 3), rngs=rngs),
            nnx.Conv(8, 8, (3, 3), feature_group_count=8, rngs=rngs),
        )
        self.point = nnx.Conv(8, 12, (1, 1), rngs=rngs)
        self.twice = nnx.Conv(12, 24, (3, 3), feature_group_count=12, rngs=rngs)
        self.grouped = nnx.Conv(24, 12, (3, 3), feature_group_count=6, rngs=rngs)
        self.dense, self.out = nnx.Linear(108, 10, rngs=rngs), nnx.Linear(10, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits."""
        x = nnx.relu(self.point(nnx.relu6(self.depth(nnx.relu6(self.stem(x))))))
        x = nnx.relu(self.grouped(nnx.relu(self.twice(x))))
        x = nnx.max_pool(nnx.avg_pool(x, (2, 2), (2, 2)), (2, 2))
        return self.out(nnx.relu(self.dense(x.reshape(x.shape[0], -1))))


class Encoder(nnx.Module):
    """Attention and a dense block, each with LayerNorm behind it."""

    def __init__(self, rngs: nnx.Rngs):
        self.att = nnx.MultiHeadAttention(4, 8, 24, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(8, 20, rngs=rngs), nnx.Linear(20, 8, rngs=rngs)
        self.na, self.nb = nnx.LayerNorm(8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The next representation."""
        x = self.na(x + self.att(x))
        return self.nb(x + self.down(nnx.gelu(self.up(x))))


class Bert(nnx.Module):
    """An encoder with a head tied to the embedding."""

    def __init__(self, rngs: nnx.Rngs):
        self.embed, self.places = nnx.Embed(11, 8, rngs=rngs), nnx.Embed(7, 8, rngs=rngs)
        self.first, self.second = Encoder(rngs), Encoder(rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits of every token."""
        x = self.embed(tokens) + self.places(jnp.arange(tokens.shape[1])[None])
        return self.embed.attend(self.second(self.first(x)))


class Decoder(nnx.Module):
    """Grouped queries with rotary positions, and a gated MLP, each behind RMSNorm."""

    def __init__(self, rngs: nnx.Rngs):
        self.na, self.nb = nnx.RMSNorm(8, rngs=rngs), nnx.RMSNorm(8, rngs=rngs)
        self.q = nnx.LinearGeneral(8, (4, 6), use_bias=False, rngs=rngs)
        self.k, self.v = (nnx.LinearGeneral(8, (2, 6), use_bias=False, rngs=rngs) for _ in range(2))
        self.o = nnx.LinearGeneral((4, 6), 8, axis=(-2, -1), use_bias=False, rngs=rngs)
        self.gate, self.up = (nnx.Linear(8, 10, use_bias=False, rngs=rngs) for _ in range(2))
        self.down = nnx.Linear(10, 8, use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The next representation; JAX's own attention repeats the keys for their queries."""
        y = self.na(x)
        q, k = cutting.rope(self.q(y)), cutting.rope(self.k(y))
        x = x + self.o(jax.nn.dot_product_attention(q, k, self.v(y), is_causal=True))
        y = self.nb(x)
        return x + self.down(nnx.silu(self.gate(y)) * self.up(y))


class Llama(nnx.Module):
    """A decoder of two layers."""

    def __init__(self, rngs: nnx.Rngs):
        self.embed, self.norm = nnx.Embed(11, 8, rngs=rngs), nnx.RMSNorm(8, rngs=rngs)
        self.first, self.second = Decoder(rngs), Decoder(rngs)
        self.head = nnx.Linear(8, 11, use_bias=False, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits of every token."""
        return self.head(self.norm(self.second(self.first(self.embed(tokens)))))


class Lstm(nnx.Module):
    """A recurrent network; its carry starts from a random stream, which is part of the state."""

    def __init__(self, rngs: nnx.Rngs):
        self.rnn, self.out = nnx.RNN(nnx.OptimizedLSTMCell(8, 6, rngs=rngs)), nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Results of every step."""
        return self.out(self.rnn(x))
