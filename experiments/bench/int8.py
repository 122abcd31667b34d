"""int8 products and convolutions under `lift` against dense float32, and against peers."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import compressjax
from compressjax import quant
from experiments.bench.harness import OURS, Case
from third_party import peers

Params = dict[str, jax.Array]


def dense(params: Params, x: jax.Array) -> jax.Array:
    """A dense layer."""
    return x @ params["kernel"]


def convolution(params: Params, x: jax.Array) -> jax.Array:
    """A convolution with stride 1 as Flax calls it."""
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, params["kernel"], (1, 1), "SAME", dimension_numbers=numbers)


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """Dense layers by shape and rows, then convolutions by shape and images.

    Args:
        config: `seed`, `dense.shapes` `(in, out)`, `dense.rows`, `convolution.shapes`
            `(side, in, out, kernel)`, `convolution.images`, `peers`.

    Yields:
        Cases with dense float32 JAX as the baseline.
    """
    draw = np.random.default_rng(config.seed)
    for fan_in, out in config.dense.shapes:
        kernel = jnp.asarray(draw.normal(size=(fan_in, out)) / fan_in**0.5, jnp.float32)
        for rows in config.dense.rows:
            x = jnp.asarray(draw.normal(size=(rows, fan_in)), jnp.float32)
            name = f"dense {fan_in}x{out}, {rows} row{'s' * (rows > 1)}"
            yield case(name, dense, kernel, x, "dense", config)
    for side, channels, out, size in config.convolution.shapes:
        shape = (size, size, channels, out)
        kernel = jnp.asarray(draw.normal(size=shape) / (size * size * channels) ** 0.5, jnp.float32)
        for images in config.convolution.images:
            x = jnp.asarray(draw.normal(size=(images, side, side, channels)), jnp.float32)
            name = f"conv {size}x{size} {channels}->{out} on {side}x{side}, {images} image{'s' * (images > 1)}"
            yield case(name, convolution, kernel, x, "convolution", config)


def case(
    name: str, apply: Callable, kernel: jax.Array, x: jax.Array, kind: str, config: ml_collections.ConfigDict
) -> Case:
    """One function, dense against int8.

    Args:
        name: of the case.
        apply: function of `{"kernel": ...}` and `x`.
        kernel: float32 weights.
        x: float32 input.
        kind: the peers' equivalent function.
        config: `peers`.

    Returns:
        The case, with relative errors and bytes as facts.
    """
    params = {"kernel": kernel}
    nodes = compressjax.compress(params, {"kernel": quant.rtn(bits=8, activation="dynamic")})
    programs: dict[str, tuple[Any, Callable]] = {"jax float32": (params, apply), OURS: (nodes, compressjax.lift(apply))}
    skipped = {}
    for peer in map(peers.load, config.peers):
        label = f"{peer.name} {peer.version}".strip()
        if peer.adapter is None:
            skipped[label] = peer.reason
        else:
            programs[label] = getattr(peer.adapter, kind)(kernel)
    thunks = {label: thunk(jax.jit(program), weights, x) for label, (weights, program) in programs.items()}
    exact = thunks["jax float32"]()
    facts: dict[str, Any] = {}
    for label in list(thunks)[1:]:
        facts[f"error of {label}"] = float(jnp.linalg.norm(thunks[label]() - exact) / jnp.linalg.norm(exact))
    facts["bytes"] = f"{sum(compressjax.storage(nodes).values()) // 8} of {kernel.nbytes}"
    return Case(name, thunks, facts, skipped)


def thunk(program: Callable, *arguments: Any) -> Callable[[], Any]:
    """A call with bound arguments, compiled separately."""
    return lambda: program(*arguments)
