"""A method that depends on its inputs and compiles fast, and small functions to calibrate."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, lift, observe
from compressjax.interpret import merge


def shift(log: list[Any] | None = None) -> core.Compression:
    """Moves a kernel by its inputs' second moments: every error in what a layer saw is an error in its result."""

    def encode(path: str, x: jax.Array, stats: Any) -> Any:
        if log is not None and core.is_node(x) is False:
            log.append((path, stats.gram))
        return x + 0.1 * jnp.tensordot(stats.second_moment, x, 1)

    return core.from_encode("shift", encode, needs=("gram",))


def normal(seed: int, *shape: int) -> jax.Array:
    """Normal numbers of the size of a kernel's."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape) / shape[0] ** 0.5, jnp.float32)


def mlp_params() -> dict[str, jax.Array]:
    """Three kernels of different shapes, and a bias."""
    shapes = {"a": (6, 5), "b": (5, 7), "c": (7, 3)}
    return {n: normal(i, *s) for i, (n, s) in enumerate(shapes.items())} | {"bias": jnp.full(5, 0.1)}


def mlp(p: Any, x: jax.Array) -> jax.Array:
    """Three layers."""
    hidden = jax.nn.relu(x @ p["a"] + p["bias"][None])
    return jax.nn.relu(hidden @ p["b"]) @ p["c"]


def rows(*counts: int, width: int = 6) -> list[tuple[jax.Array]]:
    """Batches of rows."""
    return [(4 * normal(10 + i, count, width),) for i, count in enumerate(counts)]


def block_params() -> dict[str, jax.Array]:
    """Kernels of attention and of a feed-forward layer."""
    square = {name: normal(i, 8, 8) for i, name in enumerate("qkvo")}
    return square | {"up": normal(5, 8, 12), "down": normal(6, 12, 8)}


def block(p: Any, x: jax.Array) -> jax.Array:
    """A transformer block without norms."""
    q, k, v = ((x @ p[name]).reshape(*x.shape[:2], 2, 4) for name in "qkv")
    x = x + jax.nn.dot_product_attention(q, k, v).reshape(x.shape) @ p["o"]
    return x + jax.nn.gelu(x @ p["up"]) @ p["down"]


def by_hand(fn: Any, params: Any, batches: Any, steps: list[list[str]], method: core.Compression) -> Any:
    """The definition: observe the partly compressed function anew for every step."""
    tree = dict(params)
    for step in steps:
        done = {path: x for path, x in tree.items() if path not in step}

        def past(own: Any, *args: Any, done: Any = done) -> Any:
            return lift(fn)({**done, **own}, *args)

        total: Any = {}
        for args in batches:
            total = merge(total, observe(past)({path: tree[path] for path in step}, *args)[1])
        tree |= core.compress({path: params[path] for path in step}, {".*": method}, total)
    return tree
