"""Overhead of `lift`: time to trace, and time to run without compressed leaves."""

from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import compressjax
from compressjax import lowrank, quant
from experiments.bench.harness import OURS, Case
from experiments.bench.int8 import thunk


class MLP(nn.Module):
    """Dense layers with ReLU between them."""

    width: int
    depth: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Rows `[n, features]` to `[n, 10]`."""
        for _ in range(self.depth):
            x = nn.relu(nn.Dense(self.width)(x))
        return nn.Dense(10)(x)


class CNN(nn.Module):
    """3 x 3 convolutions with ReLU, averaged over space."""

    width: int
    depth: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Images `[n, side, side, channels]` to `[n, 10]`."""
        for _ in range(self.depth):
            x = nn.relu(nn.Conv(self.width, (3, 3))(x))
        return nn.Dense(10)(x.mean((1, 2)))


class Encoder(nn.Module):
    """A transformer encoder."""

    width: int
    depth: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Sequences `[n, length, width]` to `[n, 10]`."""
        for _ in range(self.depth):
            y = nn.LayerNorm()(x)
            x = x + nn.MultiHeadDotProductAttention(num_heads=4)(y, y)
            y = nn.LayerNorm()(x)
            x = x + nn.Dense(self.width)(nn.gelu(nn.Dense(4 * self.width)(y)))
        return nn.Dense(10)(x.mean(1))


NETWORKS: dict[str, Callable[..., nn.Module]] = {"mlp": MLP, "cnn": CNN, "encoder": Encoder}
COMPRESSIONS: dict[str, Callable[[], compressjax.Compression]] = {
    "int8": lambda: quant.rtn(bits=8, activation="dynamic"),
    "low rank": lambda: lowrank.svd(rank=8, always=True),
}


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """For every network: tracing with and without `lift`, then running with and without it.

    Args:
        config: `seed`, `networks` `{name: {width, depth, shape}}`, `compressions`.

    Yields:
        Cases with the plain function as the baseline.
    """
    draw = np.random.default_rng(config.seed)
    for name, sizes in config.networks.items():
        network = NETWORKS[name](sizes.width, sizes.depth)
        x = jnp.asarray(draw.normal(size=sizes.shape), jnp.float32)
        params = jax.jit(network.init)(jax.random.key(config.seed), x)
        trees = {OURS + ", nothing compressed": params}
        for method in config.compressions:
            trees[f"{OURS}, {method}"] = compressjax.compress(params, {".*kernel": COMPRESSIONS[method]()})
        size = f"{name}, {sizes.depth} layers"
        yield tracing(size, network.apply, params, trees, x)
        yield running(size, network.apply, params, next(iter(trees)), x)


def tracing(size: str, apply: Callable, params: Any, trees: dict[str, Any], x: jax.Array) -> Case:
    """Time of `jax.jit(...).trace`, fresh at every call.

    Args:
        size: the network in words.
        apply: function of parameters and `x`.
        params: dense parameters.
        trees: trees for `lift(apply)`, by contender.
        x: input.

    Returns:
        The case, with the number of equations of every program as facts.
    """

    def trace(transform: Callable, tree: Any) -> Callable[[], Any]:
        def run() -> Any:
            def fresh(tree: Any, x: jax.Array) -> Any:  # a new function object, because JAX caches traces
                return apply(tree, x)

            return jax.jit(transform(fresh)).trace(tree, x)

        return run

    thunks = {"jax": trace(lambda f: f, params)}
    thunks |= {label: trace(compressjax.lift, tree) for label, tree in trees.items()}
    facts = {f"equations of {label}": equations(make().jaxpr.jaxpr) for label, make in thunks.items()}
    return Case(f"trace {size}", thunks, facts)


def running(size: str, apply: Callable, params: Any, label: str, x: jax.Array) -> Case:
    """Time of a compiled call on a tree without nodes, and whether the compiled programs are equal.

    Args:
        size: the network in words.
        apply: function of parameters and `x`.
        params: dense parameters.
        label: of the lifted contender.
        x: input.

    Returns:
        The case.
    """
    plain, lifted = jax.jit(apply), jax.jit(compressjax.lift(apply))
    same = body(plain.lower(params, x)) == body(lifted.lower(params, x))
    thunks = {"jax": thunk(plain, params, x), label: thunk(lifted, params, x)}
    return Case(f"run {size}", thunks, {"same program": int(same)})


def body(lowered: Any) -> str:
    """The program as text, without the line that names the function."""
    return lowered.as_text().partition("\n")[2]


def equations(jaxpr: Any) -> int:
    """Number of equations of a jaxpr and its inner jaxprs."""
    inner = [p for eqn in jaxpr.eqns for p in jax.tree.leaves(list(eqn.params.values())) if hasattr(p, "jaxpr")]
    return len(jaxpr.eqns) + sum(equations(p.jaxpr) for p in inner)
