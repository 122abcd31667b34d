"""Speed of our files against a bare entropy coder, and their length against the entropy."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import ml_collections
import numpy as np

from compressjax import coding
from compressjax.coding import _ans
from compressjax.coding._bits import Reader
from compressjax.coding._limits import Budget
from experiments.bench.harness import OURS, Case
from third_party import peers


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """Encoding and decoding of quantized normal weights, by bits and number.

    Args:
        config: `seed`, `bits`, `counts`, `sparsity` (fraction of symbols at the center).

    Yields:
        Cases with the bare coder as the baseline, or ours if it is absent.
    """
    draw = np.random.default_rng(config.seed)
    for bits in config.bits:
        for count in config.counts:
            symbols = weights(draw, bits, count)
            name = f"{bits} bits, {count:,} symbols"
            yield from both(name, symbols)


def weights(draw: np.random.Generator, bits: int, count: int) -> np.ndarray:
    """Codes of normal weights after round-to-nearest quantization on a uniform grid.

    Args:
        draw: source of randomness.
        bits: of the grid.
        count: how many.

    Returns:
        Codes from 0 to `2 ** bits - 1`, as uint8.
    """
    values = draw.normal(size=count)
    top = 2 ** (bits - 1) - 1
    return (np.clip(np.rint(values * top / np.abs(values).max()), -top, top) + top).astype(np.uint8)


def entropy_bytes(symbols: np.ndarray) -> float:
    """Lower bound in bytes for codes of single symbols, from their empirical distribution."""
    share = np.bincount(symbols) / symbols.size
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum() * symbols.size / 8)


def coder_rates(symbols: np.ndarray, repeats: int = 5) -> tuple[float, float]:
    """Speed of the ANS codec, without codec selection and framing.

    Args:
        symbols: non-negative integers below 4096, at least two different ones.
        repeats: how often to time; the fastest counts.

    Returns:
        Symbols encoded per second, including the counts, and symbols decoded per second.
    """
    codes = symbols.reshape(-1).astype(np.int32)
    size = int(codes.max()) + 1
    encode_seconds, decode_seconds = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        coded = _ans.encode(codes, _ans.plan(_ans.histogram(codes, size)))
        middle = time.perf_counter()
        for _part in _ans.decode(Reader(coded), size, codes.size, Budget(1 << 40)):
            pass
        encode_seconds.append(middle - start)
        decode_seconds.append(time.perf_counter() - middle)
    return codes.size / min(encode_seconds), codes.size / min(decode_seconds)


def both(name: str, symbols: np.ndarray) -> Iterator[Case]:
    """The two cases of one array of symbols.

    Args:
        name: bits and number in words.
        symbols: uint8.

    Yields:
        Encoding, then decoding.
    """
    data = coding.dumps({"codes": symbols})
    row = coding.loads(data).manifest.ledger.leaves[0]
    encode_rate, decode_rate = coder_rates(symbols)
    least = entropy_bytes(symbols)
    facts: dict[str, Any] = {
        "codec": row.codecs[0],
        "payload over entropy": row.file_bytes / least,
        "file over entropy": len(data) / least,
        "coder alone encodes per second": encode_rate,
        "coder alone decodes per second": decode_rate,
    }
    encoders: dict[str, Callable[[], Any]] = {}
    decoders: dict[str, Callable[[], Any]] = {}
    skipped = {}
    peer = peers.load("constriction")
    if peer.adapter is None:
        skipped["constriction"] = peer.reason
    else:
        adapter, wide = peer.adapter, symbols.astype(np.int32)
        model = adapter.model(wide)
        words = adapter.encode(wide, model)
        encoders[f"constriction {peer.version}"] = lambda: adapter.encode(wide, model)
        decoders[f"constriction {peer.version}"] = lambda: adapter.decode(words, model, wide.size)
        facts["constriction over entropy"] = words.nbytes / least
    encoders[f"{OURS} file"] = lambda: coding.dumps({"codes": symbols})
    decoders[f"{OURS} file"] = lambda: coding.loads(data).leaves["codes"]
    yield Case(f"encode {name}", encoders, facts, skipped, symbols.size)
    yield Case(f"decode {name}", decoders, {}, skipped, symbols.size)
