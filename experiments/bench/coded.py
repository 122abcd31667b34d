"""Trained codes in our files: against general compressors, the cross-entropy of the model, and the estimate of rate."""

import contextlib
import functools
import pathlib
import tempfile
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from compressjax import coding, core, measure, prune, quant, share, tensors
from compressjax.coding import _context
from experiments import text_files
from experiments.bench.coding import weights
from experiments.bench.harness import OURS, Case
from experiments.problem import make_problem
from experiments.reproduce.loop import data_of, train
from third_party import peers

Codes = Mapping[str, np.ndarray]
Compressor = Callable[[bytes], bytes]


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """A file for every grid and share of zeros, and the reading of many leaves.

    Args:
        config: `seed`, `grids` (pairs of bits and zeros), `copies` (how often the file that is read has every
            kernel), and what `trained` reads; without a name of `data`, codes are those of normal weights.

    Yields:
        A case for every grid, with the whole file against every compressor on all codes at once; and one for reading.
    """
    draw = np.random.default_rng(config.seed)
    made_up = {"w": weights(draw, 2, 6000).reshape(100, 60).astype(np.int8) - 1}
    found = trained(config) if config.data.name else ((bits, zeros, made_up) for bits, zeros in config.grids)
    for bits, zeros, codes in found:
        name = f"{bits} bits" + (f", {zeros:.0%} zeros" if zeros else "")
        yield written(name, codes, bits)
        if not zeros:
            kept = codes, bits
    yield reading(f"decode {kept[1]} bits", kept[0], config.copies)


def trained(config: ml_collections.ConfigDict) -> Iterator[tuple[int, float, Codes]]:
    """Codes of the kernels of one network, trained dense and then on every grid, pruned on the way or not.

    Args:
        config: `seed`, `data`, `model`, the settings of `loop.train`, `tuning` (those of the second training run),
            `grids`, `cache`.

    Yields:
        Bits, share of zeros, and codes; zeros have the code 0.
    """
    settings = config.to_dict()
    problem = make_problem(settings, config.cache, jax.sharding.Mesh(jax.devices()[:1], ("data",)))
    data = data_of(problem)
    dense = train(problem.apply, problem.initial_params(), data, settings, seed=config.seed).params
    tuning = {**settings, **settings["tuning"]}
    for bits, zeros in config.grids:
        method = quant.lsq(bits, granularity="tensor")
        if zeros:
            method = core.chain(prune.gradual(zeros, end=tuning["steps"] // 2), method)
        compression = core.only(".*kernel", method)
        done = train(problem.apply, dense, data, tuning, seed=config.seed + 1, compression=compression)
        nodes = core.nodes(done.encoded)
        yield bits, zeros, {path: _codes(node) for path, node in nodes.items() if path.endswith("kernel")}


def _codes(node: Any) -> np.ndarray:
    if isinstance(node, tensors.Masked):
        return np.asarray(node.value.dense_codes()) * np.asarray(node.mask)
    return np.asarray(node.dense_codes())


def written(name: str, codes: Codes, bits: int) -> Case:
    """The file of some codes against what compressors make of the better of packed codes and of one byte a code.

    Args:
        name: of the case.
        codes: signed integers of `bits` bits, by path.
        bits: of the grid.

    Returns:
        The case: writing, with the bytes as facts. The file has shapes, names and checksums, what the others make has
        none.
    """
    flat = np.concatenate([x.reshape(-1) for x in codes.values()])
    given = (packed(flat, bits), flat.astype(np.int8).tobytes())
    tools, skipped = compressors()
    file = coding.dumps(codes)
    sizes = {tool: min(len(run(x)) for x in given) for tool, run in tools.items()}
    facts: dict[str, Any] = {"weights": flat.size, "file bytes": len(file)}
    facts |= {f"bytes of {tool}": size for tool, size in sizes.items()}
    facts |= {
        "file over the best peer": len(file) / min(sizes.values()),
        "file over order-0 entropy": 8 * len(file) / order0(codes),
        "coded over cross-entropy": over_cross_entropy(codes),
        "gap of the estimate": estimate_gap(codes, bits),
    }
    thunks = {f"{OURS} file": lambda: coding.dumps(codes)}
    thunks |= {tool: functools.partial(run, given[0]) for tool, run in tools.items()}
    return Case(name, thunks, facts, skipped, flat.size)


def compressors() -> tuple[dict[str, Compressor], dict[str, str]]:
    """General compressors at their strongest settings, and those that are not installed, with the reason."""
    found: dict[str, Compressor] = {
        "xz": text_files.xz,
        "zlib": lambda x: zlib.compress(x, 9),
    }
    skipped = {}
    for name in ("zstandard", "brotli"):
        peer = peers.load(name)
        if peer.adapter is None:
            skipped[name] = peer.reason
        else:
            found[f"{name} {peer.version}"] = peer.adapter.compress
    return found, skipped


def packed(codes: np.ndarray, bits: int) -> bytes:
    """Signed integers `[n]` at `bits` bits each, one after another.

    Example:
        >>> packed(np.array([1, -2, 0, -1]), 2).hex()
        'c9'
    """
    unsigned = codes.astype(np.int16) + 2 ** (bits - 1)
    return np.packbits((unsigned[:, None] >> np.arange(bits)[::-1]) & 1).tobytes()


def order0(codes: Codes) -> float:
    """Bits of all codes at the entropy of single symbols, array by array."""
    total = 0.0
    for x in codes.values():
        count = np.unique(x, return_counts=True)[1]
        total -= float((count * np.log2(count / x.size)).sum())
    return total


def over_cross_entropy(codes: Codes) -> float:
    """Bytes of the adaptive codec over the cross-entropy of its model, over all arrays that it takes."""
    size, ideal = 0, 0.0
    for x in codes.values():
        taken = coding.codec_bytes(x).get("context")
        if taken is not None:
            low = int(x.min())
            flat = (x.reshape(-1).astype(np.int32)) - low
            alphabet, center = int(flat.max()) + 1, int(np.bincount(flat).argmax())
            size += taken
            ideal += _context._sample_bits(flat, x.shape[-1], alphabet, center) * flat.size / 8
    return size / ideal if ideal else 1.0


def estimate_gap(codes: Codes, bits: int) -> float:
    """How far the rate term of training is from the file, as a share of the file, in magnitude."""
    table = jnp.arange(-(2 ** (bits - 1)), 2 ** (bits - 1), dtype=jnp.float32)
    estimates = {
        path: share.code_bits(jnp.asarray(x, jnp.float32), table, contexts=contexts(x)) for path, x in codes.items()
    }
    return abs(measure.rate_gaps(estimates, coding.loads(coding.dumps(codes)).manifest)[-1].gap)


def contexts(codes: np.ndarray) -> jax.Array | None:
    """Contexts of the adaptive codec, where the file uses it."""
    sizes = coding.codec_bytes(codes)
    return jnp.asarray(measure.code_contexts(codes)) if min(sizes, key=lambda name: sizes[name]) == "context" else None


def reading(name: str, codes: Codes, copies: int) -> Case:
    """Reads a file with many leaves, one after another and in two threads.

    Args:
        name: of the case.
        codes: by path.
        copies: of every array; each is a leaf.

    Returns:
        The case; the fact is the peak of memory of reading all leaves in turn over that of reading one set of them.
    """
    many = {f"{i}/{path}": x for i in range(copies) for path, x in codes.items()}
    peaks = [peak(coding.dumps(tree)) for tree in (codes, many)]
    data = coding.dumps(many)

    def threads() -> None:
        with opened(data) as leaves, ThreadPoolExecutor(2) as pool:
            for _ in pool.map(leaves.__getitem__, many):
                pass

    def in_turn() -> None:
        with opened(data) as leaves:
            for path in many:
                leaves[path]

    count = sum(x.size for x in many.values())
    begin = time.process_time()
    in_turn()
    rate = count / (time.process_time() - begin)  # of a thread that has a processor to itself
    facts = {
        "leaves": len(many),
        "weights a CPU second": rate,
        "peak over that of one set of leaves": peaks[1] / peaks[0],
    }
    return Case(name, {"one thread": in_turn, "two threads": threads}, facts, {}, count)


@contextlib.contextmanager
def opened(data: bytes) -> Iterator[coding.Leaves]:
    """The leaves of a file on disk for as long as they are read."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.cjx")
        path.write_bytes(data)
        yield coding.Leaves(path)


def peak(data: bytes) -> int:
    """Most bytes that reading leaf after leaf of a file takes at once."""
    with opened(data) as leaves:
        tracemalloc.start()
        try:
            for path in leaves:
                leaves[path]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
