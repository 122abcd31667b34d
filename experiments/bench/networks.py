"""Whole networks in int8 under `lift` against float32 JAX and onnxruntime, one function for both."""

import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import compressjax
from compressjax import core, quant
from experiments.bench.harness import OURS, Case
from experiments.bench.int8 import thunk
from third_party import peers


class Arrays:
    """Runs the operations of a network on arrays; with a generator, it draws missing weights."""

    def __init__(self, weights: dict[str, Any], draw: np.random.Generator | None = None) -> None:
        self.weights = weights
        self.draw = draw

    def weight(self, name: str, shape: tuple[int, ...], scale: float) -> Any:
        """A weight by name."""
        if self.draw is not None and name not in self.weights:
            self.weights[name] = jnp.asarray(scale * self.draw.normal(size=shape), jnp.float32)
        return self.weights[name]

    def image(self, x: Any) -> Any:
        """Images as they are."""
        return x

    def flat(self, x: Any) -> Any:
        """Images to rows."""
        return x.reshape(x.shape[0], -1)

    def dense(self, x: Any, name: str, size: int, inputs: int) -> Any:
        """`x @ kernel + bias`."""
        return x @ self.weight(f"{name}/kernel", (inputs, size), inputs**-0.5) + self.weight(
            f"{name}/bias", (size,), 0.1
        )

    def conv(self, x: Any, name: str, size: int, channels: int, inputs: int, stride: int = 1) -> Any:
        """A convolution with bias."""
        kernel = self.weight(f"{name}/kernel", (size, size, inputs, channels), (2 / (size * size * inputs)) ** 0.5)
        numbers = ("NHWC", "HWIO", "NHWC")
        out = jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=numbers)
        return out + self.weight(f"{name}/bias", (channels,), 0.1)

    def depthwise(self, x: Any, name: str, size: int, channels: int, stride: int = 1) -> Any:
        """A convolution of every channel by itself, with bias."""
        kernel = self.weight(f"{name}/kernel", (size, size, 1, channels), 2**0.5 / size)
        out = jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=channels,
        )  # fmt: skip
        return out + self.weight(f"{name}/bias", (channels,), 0.1)

    def relu6(self, x: Any) -> Any:
        """`min(max(x, 0), 6)`."""
        return jnp.clip(x, 0.0, 6.0)

    def relu(self, x: Any) -> Any:
        """`max(x, 0)`."""
        return jax.nn.relu(x)

    def gelu(self, x: Any) -> Any:
        """The exact GELU."""
        return jax.nn.gelu(x, approximate=False)

    def pool(self, x: Any) -> Any:
        """Largest of every 2 x 2 pixels."""
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def mean(self, x: Any) -> Any:
        """Mean over pixels."""
        return x.mean((1, 2))

    def add(self, x: Any, y: Any) -> Any:
        """`x + y`."""
        return x + y

    def norm(self, x: Any, name: str, size: int) -> Any:
        """Layer normalization of the last axis."""
        scale, bias = 1 + self.weight(f"{name}/scale", (size,), 0.0), self.weight(f"{name}/bias", (size,), 0.1)
        centered = x - x.mean(-1, keepdims=True)
        return centered * jax.lax.rsqrt((centered**2).mean(-1, keepdims=True) + 1e-6) * scale + bias

    def attention(self, q: Any, k: Any, v: Any, heads: int, size: int) -> Any:
        """Softmax attention of `[batch, length, size]`."""
        q, k, v = (x.reshape(*x.shape[:2], heads, size // heads) for x in (q, k, v))
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * (size // heads) ** -0.5
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
        return mixed.reshape(*mixed.shape[:2], size)

    def lstm(self, x: Any, name: str, size: int, inputs: int) -> Any:
        """The last hidden state of an LSTM over `[batch, length, in]`."""
        kernel = self.weight(f"{name}/inputs/kernel", (inputs, 4 * size), inputs**-0.5)
        hidden = self.weight(f"{name}/hidden/kernel", (size, 4 * size), size**-0.5)
        bias = self.weight(f"{name}/bias", (4 * size,), 0.1)

        def step(state: Any, row: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(row + h @ hidden, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zero = jnp.zeros((x.shape[0], size))
        (h, _), _ = jax.lax.scan(step, (zero, zero), jnp.swapaxes(x @ kernel + bias, 0, 1))
        return h


def lenet(o: Any, x: Any) -> Any:
    """LeNet-5 with ReLU."""
    x = o.pool(o.relu(o.conv(o.image(x), "c1", 5, 6, 1)))
    x = o.pool(o.relu(o.conv(x, "c2", 5, 16, 6)))
    x = o.relu(o.dense(o.flat(x), "d1", 120, 7 * 7 * 16))
    return o.dense(o.relu(o.dense(x, "d2", 84, 120)), "d3", 10, 84)


def vgg(o: Any, x: Any) -> Any:
    """Pairs of 3 x 3 convolutions of 64 and 128 channels between poolings."""
    x = o.relu(o.conv(o.image(x), "c1", 3, 64, 1))
    x = o.pool(o.relu(o.conv(x, "c2", 3, 64, 64)))
    x = o.relu(o.conv(x, "c3", 3, 128, 64))
    x = o.pool(o.relu(o.conv(x, "c4", 3, 128, 128)))
    return o.dense(o.relu(o.dense(o.flat(x), "d1", 256, 7 * 7 * 128)), "d2", 10, 256)


def resnet(o: Any, x: Any) -> Any:
    """Three stages of two residual blocks with 32, 64 and 128 channels, norms folded."""
    x, inputs = o.relu(o.conv(o.image(x), "stem", 3, 32, 1)), 32
    for stage, channels in enumerate((32, 64, 128)):
        for block in range(2):
            name, stride = f"s{stage}b{block}", 2 if stage and not block else 1
            y = o.relu(o.conv(x, f"{name}/a", 3, channels, inputs, stride))
            y = o.conv(y, f"{name}/b", 3, channels, channels)
            short = x if inputs == channels else o.conv(x, f"{name}/short", 1, channels, inputs, stride)
            x, inputs = o.relu(o.add(short, y)), channels
    return o.dense(o.mean(x), "head", 10, 128)


def lstm(o: Any, x: Any) -> Any:
    """An LSTM of 256 units that reads an image row by row."""
    return o.dense(o.lstm(x, "cell", 256, 28), "head", 10, 256)


def encoder(o: Any, x: Any) -> Any:
    """The six layers of MiniLM-L6: 384 numbers per token, 12 heads, 1536 hidden units."""
    size = 384
    for layer in range(6):
        q, k, v = (o.dense(x, f"l{layer}/{part}", size, size) for part in "qkv")
        mixed = o.dense(o.attention(q, k, v, 12, size), f"l{layer}/out", size, size)
        x = o.norm(o.add(x, mixed), f"l{layer}/n1", size)
        y = o.dense(o.gelu(o.dense(x, f"l{layer}/up", 4 * size, size)), f"l{layer}/down", size, 4 * size)
        x = o.norm(o.add(x, y), f"l{layer}/n2", size)
    return x


# Kernel size, stride, expansion, channels and number of the blocks of EfficientNet-Lite0.
STAGES = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)  # fmt: skip


def efficientnet(o: Any, x: Any) -> Any:
    """EfficientNet-Lite0 with norms folded."""
    x, inputs, block = o.relu6(o.conv(o.image(x), "stem", 3, 32, 3, 2)), 32, 0
    for size, first, expansion, channels, count in STAGES:
        for place in range(count):
            y, inner, stride, name = x, expansion * inputs, first if place == 0 else 1, f"b{block}"
            if expansion > 1:
                y = o.relu6(o.conv(y, f"{name}/expand", 1, inner, inputs))
            y = o.relu6(o.depthwise(y, f"{name}/depthwise", size, inner, stride))
            y = o.conv(y, f"{name}/project", 1, channels, inner)
            x, inputs, block = o.add(x, y) if place else y, channels, block + 1
    x = o.relu6(o.conv(x, "last", 1, 1280, inputs))
    return o.dense(o.mean(x), "head", 1000, 1280)


NETWORKS: dict[str, Callable[[Any, Any], Any]] = {
    "LeNet-5": lenet, "VGG": vgg, "ResNet": resnet, "LSTM": lstm, "encoder": encoder,
    "EfficientNet-Lite0": efficientnet,
}  # fmt: skip


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """Networks by name and shape of the input.

    Args:
        config: `seed`, `inputs` `((name, shape), ...)`, `peers`, `keep` of `prepare`.

    Yields:
        Cases with float32 JAX as the baseline, relative errors and bytes as facts.
    """
    draw = np.random.default_rng(config.seed)
    for name, shape in config.inputs:
        network, weights = NETWORKS[name], {}
        x = jnp.asarray(draw.normal(size=shape), jnp.float32)
        network(Arrays(weights, draw), x[:1])
        yield case(f"{name}, {'x'.join(map(str, shape))}", network, weights, x, config)


def case(
    name: str, network: Callable, weights: dict[str, Any], x: jax.Array, config: ml_collections.ConfigDict
) -> Case:
    """One network in every form.

    Args:
        name: of the case.
        network: function of operations and an input.
        weights: its weights by name.
        x: the input, which calibrates static scales too.
        config: `peers`, `keep`.

    Returns:
        The case.
    """

    def apply(weights: Any, x: jax.Array) -> jax.Array:
        return network(Arrays(weights), x)

    thunks: dict[str, Callable[[], Any]] = {"jax float32": thunk(jax.jit(apply), weights, x)}
    facts: dict[str, Any] = {}
    stats = jax.jit(compressjax.observe(apply, gram=False))(weights, x)[1]
    exact = np.asarray(thunks["jax float32"]())
    for kind in ("dynamic", "static"):
        rules = {".*kernel": quant.rtn(8, activation=kind)}
        nodes = compressjax.compress(weights, rules, stats=stats if kind == "static" else None)
        ready = _prepared(nodes, apply, x, config.keep)
        label = f"{OURS} {kind}"
        thunks[label] = thunk(jax.jit(compressjax.lift(apply, on_fallback="ignore")), ready, x)
        facts[f"error of {label}"] = _error(thunks[label](), exact)
        facts[f"int8 leaves of {label}"] = f"{_grids(ready)} of {_grids(nodes)}"
    skipped = {}
    for peer in map(peers.load, config.peers):
        if peer.adapter is None:
            skipped[peer.name] = peer.reason
            continue
        graph = peer.adapter.Graph(multiplied(weights))
        model = graph.model(x.shape, network(graph, "x"), exact.shape)
        for kind, call in peer.adapter.programs(model, np.asarray(x), len(os.sched_getaffinity(0))).items():
            thunks[f"{peer.name} {kind}"] = call
            facts[f"difference of {peer.name} {kind}"] = _error(call(), exact)
    return Case(name, thunks, facts, skipped)


def multiplied(weights: dict[str, Any]) -> dict[str, Any]:
    """Weights with the scales of norms as they multiply.

    Args:
        weights: Of `Arrays`, which adds 1 to the scales of norms.

    Returns:
        Weights for `Graph`.
    """
    return {name: 1 + x if name.endswith("/scale") else x for name, x in weights.items()}


def _prepared(nodes: Any, apply: Callable[..., Any], x: jax.Array, keep: str) -> Any:
    with warnings.catch_warnings():  # the number of leaves that stay int8 is printed for every case
        warnings.filterwarnings("ignore", "prepare: none of")
        return compressjax.prepare(nodes, apply, x, keep=keep)


def _grids(tree: Any) -> int:
    return sum(map(core.is_node, jax.tree.leaves(tree, is_leaf=core.is_node)))


def _error(got: Any, exact: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(got) - exact) / np.linalg.norm(exact))
