"""Six families of networks, each in Linen, in NNX and in plain JAX, and what is known of them beforehand."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from tests.interpret import cutting
from tests.interpret.narrowing.test_narrow import IMAGES, TOKENS, Recurrent, linen
from tests.structure import nnx_nets, plain_nets

ROWS, SEQUENCES = IMAGES[0, :, :4, 0], IMAGES[..., 0]


class Mlp(nn.Module):
    """Two hidden layers."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits."""
        return nn.Dense(3)(jnp.tanh(nn.Dense(6)(nn.relu(nn.Dense(8)(x)))))


class Decoder(nn.Module):
    """Grouped queries with rotary positions, and a gated MLP, each behind RMSNorm; a body for Linen's scan."""

    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        """The next representation; JAX's own attention repeats the keys for their queries."""
        y = nn.RMSNorm()(x)
        q, k, v = (nn.DenseGeneral((heads, 6), use_bias=False, name=name)(y) for name, heads in zip("qkv", (4, 2, 2)))
        y = jax.nn.dot_product_attention(cutting.rope(q), cutting.rope(k), v, is_causal=True)
        x = x + nn.DenseGeneral(8, axis=(-2, -1), use_bias=False, name="o")(y)
        y = nn.RMSNorm()(x)
        gate, up = (nn.Dense(10, use_bias=False, name=name)(y) for name in ("gate", "up"))
        return x + nn.Dense(8, use_bias=False, name="down")(nn.silu(gate) * up), None


class Llama(nn.Module):
    """A decoder whose layers are a stack under Linen's own scan."""

    layers: int = 2

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits of every token."""
        x = nn.Embed(11, 8)(tokens)
        stack = nn.scan(Decoder, variable_axes={"params": 0}, split_rngs={"params": True}, length=self.layers)
        return nn.Dense(11, use_bias=False)(nn.RMSNorm()(stack(name="layers")(x, None)[0]))


def _nnx(kind: Any, x: jax.Array) -> tuple[Callable[..., Any], Any, jax.Array]:
    return *nnx_nets.split(kind), x


NETS: dict[tuple[str, str], Callable[[], tuple[Callable[..., Any], Any, jax.Array]]] = {
    ("mlp", "linen"): lambda: linen(Mlp(), ROWS),
    ("mlp", "nnx"): lambda: _nnx(nnx_nets.Mlp, ROWS),
    ("mlp", "plain"): lambda: (plain_nets.mlp, plain_nets.weights(plain_nets.MLP), ROWS),
    ("resnet", "linen"): lambda: linen(cutting.ResNet(), IMAGES),
    ("resnet", "nnx"): lambda: _nnx(nnx_nets.ResNet, IMAGES),
    ("resnet", "plain"): lambda: (plain_nets.resnet, plain_nets.weights(plain_nets.RESNET), IMAGES),
    ("separable", "linen"): lambda: linen(cutting.Separable(), IMAGES),
    ("separable", "nnx"): lambda: _nnx(nnx_nets.Separable, IMAGES),
    ("separable", "plain"): lambda: (plain_nets.separable, plain_nets.weights(plain_nets.SEPARABLE), IMAGES),
    ("bert", "linen"): lambda: linen(cutting.Bert(), TOKENS),
    ("bert", "nnx"): lambda: _nnx(nnx_nets.Bert, TOKENS),
    ("bert", "plain"): lambda: (plain_nets.bert, plain_nets.weights(plain_nets.BERT), TOKENS),
    ("llama", "linen"): lambda: linen(Llama(), TOKENS),
    ("llama", "nnx"): lambda: _nnx(nnx_nets.Llama, TOKENS),
    ("llama", "plain"): lambda: (cutting.llama_apply, cutting.llama(), TOKENS),
    ("lstm", "linen"): lambda: linen(Recurrent(nn.OptimizedLSTMCell), SEQUENCES),
    ("lstm", "nnx"): lambda: _nnx(nnx_nets.Lstm, SEQUENCES),
    ("lstm", "plain"): lambda: (plain_nets.lstm, plain_nets.weights(plain_nets.LSTM), SEQUENCES),
}


def _mlp(a: int, b: int) -> int:
    return 5 * a + (a + 1) * b + (b + 1) * 3


def _resnet(a: int, b: int, c: int, d: int) -> int:
    """Residual streams of a and c channels; b and d channels within the blocks; four numbers a channel of a norm."""
    blocks = 2 * 9 * a * b + 4 * (b + a) + 9 * a * d + 9 * d * c + 4 * (d + c) + (a + 1) * c
    return 10 * a + 4 * a + blocks + (c + 1) * 3


def _separable(a: int, groups: int, times: int, outputs: int, dense: int) -> int:
    """A stem of a channels; two channels a group, of which the multiplier makes so many, and outputs a group."""
    convolutions = 10 * a + 10 * a + (a + 1) * 2 * groups + 10 * 2 * groups * times
    return convolutions + (9 * 2 * times + 1) * groups * outputs + (9 * groups * outputs + 1) * dense + (dense + 1) * 3


def _bert(stream: int, heads: int, size: int, value: int, hidden: int) -> int:
    attention = 2 * (stream + 1) * heads * size + (stream + 1) * heads * value + (heads * value + 1) * stream
    return 18 * stream + 2 * (attention + (stream + 1) * hidden + (hidden + 1) * stream + 4 * stream)


def _llama(stream: int, keys: int, queries: int, turns: int, value: int, hidden: int) -> int:
    """Heads of keys, queries for each of them, and pairs of entries that turn with the position."""
    attention = (queries + 1) * keys * 2 * turns + (queries + 1) * keys * value
    return 23 * stream + 2 * stream * (2 + attention + 3 * hidden)


def _lstm(cells: int) -> int:
    return 4 * (8 + cells + 1) * cells + (cells + 1) * 2


# How many weights a network has, counted by hand, and its widths: whatever it is written in, no more and no fewer
# kinds of units can be cut.
COUNTS: dict[str, tuple[Callable[..., int], tuple[int, ...]]] = {
    "mlp": (_mlp, (8, 6)),
    "resnet": (_resnet, (4, 6, 8, 10)),
    "separable": (_separable, (8, 6, 2, 2, 10)),
    "bert": (_bert, (8, 4, 6, 6, 20)),
    "llama": (_llama, (8, 2, 2, 3, 6, 10)),
    "lstm": (_lstm, (6,)),
}
