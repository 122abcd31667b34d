"""Factorized layers under `lift` against dense ones and the same factors by hand, and how long factorizing takes."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import compressjax
from compressjax import lowrank, tensors
from experiments.bench.harness import OURS, Case
from experiments.bench.int8 import convolution, dense, thunk


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """Dense layers and convolutions by rank, convolutions by a share of their operations, decompositions by size.

    Args:
        config: `seed`, `dense.shapes` `(in, out)`, `dense.rows`, `dense.ranks`, `convolution.shapes`
            `(side, in, out, kernel)`, `convolution.images`, `convolution.ranks`; `tucker.shapes`, `tucker.images`,
            `tucker.budgets`; `randomized.sizes`, `randomized.ranks`.

    Yields:
        Cases with dense float32 JAX as the baseline; the factors by hand show the overhead of `lift`. The baseline of
        decompositions is the exact one.
    """
    draw = np.random.default_rng(config.seed)

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(draw.normal(size=shape) / shape[-1] ** 0.5, jnp.float32)

    for fan_in, out in config.dense.shapes:
        for rows in config.dense.rows:
            for rank in config.dense.ranks:
                name = f"dense {fan_in}x{out}, rank {rank}, {rows} row{'s' * (rows > 1)}"
                yield case(name, dense, by_hand_dense, normal(fan_in, rank), normal(rank, out), normal(rows, fan_in))
    for side, channels, out, size in config.convolution.shapes:
        for images in config.convolution.images:
            for rank in config.convolution.ranks:
                name = f"conv {size}x{size} {channels}->{out} on {side}x{side}, rank {rank}, {images} images"
                left, x = normal(size, size, channels, rank), normal(images, side, side, channels)
                yield case(name, convolution, by_hand_convolution, left, normal(rank, out), x)
    for side, channels, out, size in config.tucker.shapes:
        for images in config.tucker.images:
            for budget in config.tucker.budgets:
                name = f"conv {size}x{size} {channels}->{out} on {side}x{side}, Tucker at {budget:g}, {images} images"
                yield tucker(name, normal(size, size, channels, out), normal(images, side, side, channels), budget)
    for size in config.randomized.sizes:
        for rank in config.randomized.ranks:
            yield randomized(normal(size, size), rank)


def case(name: str, apply: Callable, by_hand: Callable, left: jax.Array, right: jax.Array, x: jax.Array) -> Case:
    """One function with its kernel dense, as a node, and written out by hand.

    Args:
        name: of the case.
        apply: function of `{"kernel": ...}` and `x`.
        by_hand: function of the factors and `x`.
        left: `[*in, rank]`.
        right: `[rank, out]`.
        x: input.

    Returns:
        The case; the error is that of `lift` to the dense product.
    """
    node = tensors.LowRank(left, right, left.ndim - 1)
    params = {"kernel": jax.block_until_ready(node.materialize())}
    thunks = {
        "jax float32": thunk(jax.jit(apply), params, x),
        OURS: thunk(jax.jit(compressjax.lift(apply)), {"kernel": node}, x),
        "by hand": thunk(jax.jit(by_hand), left, right, x),
    }
    exact = thunks["jax float32"]()
    error = float(jnp.linalg.norm(thunks[OURS]() - exact) / jnp.linalg.norm(exact))
    share = (left.size + right.size) / params["kernel"].size
    return Case(name, thunks, {f"error of {OURS}": error, "share of weights": share})


def tucker(name: str, kernel: jax.Array, x: jax.Array, budget: float) -> Case:
    """One convolution dense, as three under `lift`, and as three by hand.

    Args:
        name: of the case.
        kernel: `[h, w, in, out]`.
        x: images.
        budget: largest share of the operations.

    Returns:
        The case; the error is that of `lift` to the convolution with the dense tensor of the node.
    """
    node = compressjax.compress({"kernel": kernel}, lowrank.tucker(budget=budget))["kernel"]
    params = {"kernel": jax.block_until_ready(node.materialize())}
    thunks = {
        "jax float32": thunk(jax.jit(convolution), params, x),
        OURS: thunk(jax.jit(compressjax.lift(convolution)), {"kernel": node}, x),
        "by hand": thunk(jax.jit(by_hand_tucker), node.left, node.core, node.right, x),
    }
    exact = thunks["jax float32"]()
    error = float(jnp.linalg.norm(thunks[OURS]() - exact) / jnp.linalg.norm(exact))
    return Case(name, thunks, {f"error of {OURS}": error, "share of operations": node.multiply_adds() / kernel.size})


def randomized(kernel: jax.Array, rank: int) -> Case:
    """One decomposition, exact and from products with random vectors.

    Args:
        kernel: `[n, n]`.
        rank: of the factors.

    Returns:
        The case; the fact is the distance to the kernel over that of the exact factors.
    """
    methods = {
        "exact": lowrank.svd(rank=rank),
        OURS: lowrank.svd(rank=rank, solver="randomized", key=jax.random.key(0)),
    }

    def factorize(name: str) -> tensors.LowRank:
        return jax.block_until_ready(compressjax.compress({"kernel": kernel}, methods[name])["kernel"])

    lost = {name: float(jnp.linalg.norm(factorize(name).materialize() - kernel)) for name in methods}
    thunks = {name: thunk(factorize, name) for name in methods}
    return Case(
        f"svd of {len(kernel)}x{len(kernel)}, rank {rank}", thunks, {"loss over the best": lost[OURS] / lost["exact"]}
    )


def by_hand_tucker(left: jax.Array, core: jax.Array, right: jax.Array, x: jax.Array) -> jax.Array:
    """The three convolutions of a factorized one."""
    return convolution({"kernel": core}, x @ left) @ right


def by_hand_dense(left: jax.Array, right: jax.Array, x: jax.Array) -> jax.Array:
    """The two products of a factorized dense layer."""
    return (x @ left) @ right


def by_hand_convolution(left: jax.Array, right: jax.Array, x: jax.Array) -> jax.Array:
    """The convolution and the product over channels of a factorized convolution."""
    return convolution({"kernel": left}, x) @ right
