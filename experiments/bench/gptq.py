"""GPTQ from an empty compilation cache, against the peer, and its error against round to nearest."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import compressjax
from compressjax import quant
from compressjax.interpret import observe
from experiments.bench.harness import OURS, Case
from third_party import peers

NEAREST = "round to nearest"


def layer(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """A dense layer."""
    return x @ params["kernel"]


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """One square kernel a case; every call compiles anew, because that is what a model's first layer pays.

    Args:
        config: `seed`, `bits`, `sizes`, `peer_sizes` (sizes at which peers run too), `peers`.

    Yields:
        Cases with a peer as the baseline where one runs.
    """
    draw = np.random.default_rng(config.seed)
    for size in config.sizes:
        mixing = draw.normal(size=(size, size)) * np.logspace(0, -2, size)[:, None]
        x = jnp.asarray(draw.normal(size=(2 * size, size)) @ mixing, jnp.float32)
        params = {"kernel": jnp.asarray(draw.normal(size=(size, size)), jnp.float32)}
        yield case(params, x, config.bits, config.peers if size in config.peer_sizes else ())


def case(params: dict[str, jax.Array], x: jax.Array, bits: int, names: tuple[str, ...]) -> Case:
    """One kernel.

    Args:
        params: `{"kernel": [in, out]}`.
        x: `[n, in]`, its inputs.
        bits: Bits of a weight.
        names: Peers to run.

    Returns:
        The case, with errors of the outputs as multiples of that of round to nearest.
    """
    stats = jax.block_until_ready(observe(layer)(params, x)[1])

    def ours() -> jax.Array:
        return compressjax.compress(params, {".*": quant.gptq(bits)}, stats)["kernel"].materialize()

    def nearest() -> jax.Array:
        return compressjax.compress(params, {".*": quant.rtn(bits)})["kernel"].materialize()

    programs, skipped = {}, {}
    for peer in map(peers.load, names):
        label = f"{peer.name} {peer.version}".strip()
        if peer.adapter is None:
            skipped[label] = peer.reason
        else:
            programs[label] = _gptq(peer.adapter, params["kernel"], stats["kernel"].gram, bits)
    programs |= {OURS: ours, NEAREST: nearest}
    losses = {name: _error(run(), params, x) for name, run in programs.items()}
    facts = {f"loss of {n} over {NEAREST}": loss / losses[NEAREST] for n, loss in losses.items() if n != NEAREST}
    shape = "x".join(map(str, params["kernel"].shape))
    return Case(f"gptq {shape}, {bits} bits", {n: _anew(run) for n, run in programs.items()}, facts, skipped)


def _gptq(adapter: Any, kernel: jax.Array, gram: jax.Array, bits: int) -> Callable[[], jax.Array]:
    return lambda: adapter.gptq(kernel, gram, bits)


def _anew(run: Callable[[], jax.Array]) -> Callable[[], jax.Array]:
    def cold() -> jax.Array:
        jax.clear_caches()
        return run()

    return cold


def _error(rounded: jax.Array, params: dict[str, jax.Array], x: jax.Array) -> float:
    return float(np.sum(np.square(np.asarray(x) @ np.asarray(rounded - params["kernel"]))))
