"""The six families in plain JAX: a dict of arrays and a function of it, which reads widths off the arrays."""

from typing import Any

import jax
import jax.numpy as jnp

from tests.interpret import cutting

Weights = dict[str, Any]


def weights(shapes: Any) -> Any:
    """Random numbers in a tree of shapes."""
    stand_in = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s, jnp.float32), shapes,
                            is_leaf=lambda s: isinstance(s, tuple))  # fmt: skip
    return cutting.filled(stand_in)


def _dense(p: Weights, x: jax.Array) -> jax.Array:
    return x @ p["w"] + p["b"].reshape((1,) * (x.ndim - 1) + (-1,))


def _linear(inputs: int, outputs: int) -> Weights:
    return {"w": (inputs, outputs), "b": (outputs,)}


MLP = {"a": _linear(4, 8), "b": _linear(8, 6), "out": _linear(6, 3)}


def mlp(p: Weights, x: jax.Array) -> jax.Array:
    """Two hidden layers."""
    return _dense(p["out"], jnp.tanh(_dense(p["b"], jax.nn.relu(_dense(p["a"], x)))))


def _conv(w: jax.Array, x: jax.Array, stride: int = 1, groups: int = 1) -> jax.Array:
    return jax.lax.conv_general_dilated(x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
                                        feature_group_count=groups)  # fmt: skip


def _shift(b: jax.Array, x: jax.Array) -> jax.Array:
    return x + b[None, None, None]


def _norm(p: Weights, x: jax.Array) -> jax.Array:
    scale = p["scale"] * jax.lax.rsqrt(p["var"] + 1e-5)
    return _shift(p["bias"] - p["mean"] * scale, x * scale[None, None, None])


def _normed(inputs: int, outputs: int) -> Weights:
    return {"w": (3, 3, inputs, outputs), **dict.fromkeys(("scale", "bias", "mean", "var"), (outputs,))}


RESNET = {
    "stem": _normed(1, 4) | {"b": (4,)}, "a1": _normed(4, 6), "b1": _normed(6, 4), "a2": _normed(4, 10),
    "b2": _normed(10, 8), "way": {"w": (1, 1, 4, 8), "b": (8,)}, "out": _linear(8, 3),
}  # fmt: skip


def resnet(p: Weights, x: jax.Array) -> jax.Array:
    """A stem and two residual blocks with BatchNorm, the second with a projection."""
    x = jax.nn.relu(_norm(p["stem"], _shift(p["stem"]["b"], _conv(p["stem"]["w"], x))))
    for a, b, stride in ((p["a1"], p["b1"], 1), (p["a2"], p["b2"], 2)):
        y = jax.nn.relu(_norm(a, _conv(a["w"], x, stride)))
        way = x if stride == 1 else _shift(p["way"]["b"], _conv(p["way"]["w"], x, stride))
        x = jax.nn.relu(way + _norm(b, _conv(b["w"], y)))
    return _dense(p["out"], x.mean((1, 2)))


def _kernel(size: int, inputs: int, outputs: int) -> Weights:
    return {"w": (size, size, inputs, outputs), "b": (outputs,)}


SEPARABLE = {
    "stem": _kernel(3, 1, 8), "depth": _kernel(3, 1, 8), "point": _kernel(1, 8, 12), "twice": _kernel(3, 1, 24),
    "grouped": _kernel(3, 4, 12), "dense": _linear(108, 10), "out": _linear(10, 3),
}  # fmt: skip


def separable(p: Weights, x: jax.Array) -> jax.Array:
    """Depthwise convolutions with and without a multiplier, a grouped one, pooling, and a flattened dense layer."""

    def run(name: str, x: jax.Array, groups: int = 1) -> jax.Array:
        return _shift(p[name]["b"], _conv(p[name]["w"], x, groups=groups))

    x = jax.nn.relu6(run("stem", x))
    x = jax.nn.relu(run("point", jax.nn.relu6(run("depth", x, 8))))
    x = jax.nn.relu(run("grouped", jax.nn.relu(run("twice", x, 12)), 6))
    x = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "VALID")
    return _dense(p["out"], jax.nn.relu(_dense(p["dense"], x.reshape(x.shape[0], -1))))


_SCALED = {"scale": (8,), "bias": (8,)}
_HEADS = {"w": (8, 4, 6), "b": (4, 6)}
_ENCODER = {
    "q": _HEADS, "k": _HEADS, "v": _HEADS, "o": {"w": (4, 6, 8), "b": (8,)}, "na": _SCALED, "nb": _SCALED,
    "up": _linear(8, 20), "down": _linear(20, 8),
}  # fmt: skip
BERT = {"embed": (11, 8), "places": (7, 8), "layers": [_ENCODER, _ENCODER]}


def _layer_norm(p: Weights, x: jax.Array) -> jax.Array:
    # The variance from two means, as in Flax: around the mean, a masked zero would be as far from it as any number.
    mean = x.mean(-1, keepdims=True)
    scale = jax.lax.rsqrt((x * x).mean(-1, keepdims=True) - mean * mean + 1e-6) * p["scale"][None, None]
    return (x - mean) * scale + p["bias"][None, None]


def bert(p: Weights, tokens: jax.Array) -> jax.Array:
    """An encoder with LayerNorm after each block and a head tied to the embedding."""
    x = p["embed"][tokens] + p["places"][jnp.arange(tokens.shape[1])][None]
    for w in p["layers"]:
        q, k, v = (jnp.einsum("ntc,chd->nthd", x, w[s]["w"]) + w[s]["b"][None, None] for s in "qkv")
        shares = jax.nn.softmax(jnp.einsum("nqhd,nkhd->nhqk", q, k) / q.shape[-1] ** 0.5)
        y = jnp.einsum("nhqk,nkhd,hdc->nqc", shares, v, w["o"]["w"]) + w["o"]["b"][None, None]
        x = _layer_norm(w["na"], x + y)
        x = _layer_norm(w["nb"], x + _dense(w["down"], jax.nn.gelu(_dense(w["up"], x))))
    return x @ p["embed"].T


LSTM = {"w": (8, 24), "u": (6, 24), "b": (24,), "out": _linear(6, 2)}


def lstm(p: Weights, x: jax.Array) -> jax.Array:
    """A recurrent network in a scan over time, with the four gates in one product."""

    def step(carry: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        c, h = carry
        i, f, g, o = jnp.split(x @ p["w"] + h @ p["u"] + p["b"][None], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (c, h), h

    start = jnp.zeros((x.shape[0], p["u"].shape[0]))
    _, out = jax.lax.scan(step, (start, start), x.swapaxes(0, 1))
    return _dense(p["out"], out.swapaxes(0, 1))
