"""How fast and how tight the entropy coder is, measured."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from compressjax.coding import _ans
from compressjax.coding._bits import Reader


class CoderFigures(NamedTuple):
    """What `measure` saw.

    Attributes:
        codec: Name of the codec.
        entropy_bytes: Symbols times their empirical entropy, in bytes.
        coded_bytes: Bytes written, frequency table included.
        encode_rate: Symbols encoded a second, the count of symbols and the choice of the table included.
        decode_rate: Symbols decoded a second.
    """

    codec: str
    entropy_bytes: float
    coded_bytes: int
    encode_rate: float
    decode_rate: float

    @property
    def excess(self) -> float:
        """Share of bytes above the empirical entropy."""
        return self.coded_bytes / self.entropy_bytes - 1


def measure(symbols: np.ndarray, repeats: int = 5) -> CoderFigures:
    """Codes symbols with the ANS codec and times the best of a few repeats.

    Args:
        symbols: Non-negative integers `[n]` below 4096, at least two different ones.
        repeats: How often to time; the fastest counts.

    Returns:
        Bytes against the empirical entropy, and rates.

    Raises:
        ArtifactError: If all symbols are the same.

    Example:
        >>> figures = measure(np.arange(4096) % 7)
        >>> figures.coded_bytes < 1.02 * figures.entropy_bytes
        True
    """
    symbols = np.asarray(symbols).reshape(-1).astype(np.uint16)
    counts = np.bincount(symbols)
    share = counts[counts > 0] / symbols.size
    if share.size < 2:
        raise _ans.ArtifactError("all symbols are the same, their entropy is zero; measure at least two different ones")
    encode_seconds, decode_seconds = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        codes = symbols.astype(np.int32)
        coded = _ans.encode(codes, _ans.plan(_ans.histogram(codes, counts.size)))
        middle = time.perf_counter()
        _ans.decode(Reader(coded), counts.size, symbols.size)
        encode_seconds.append(middle - start)
        decode_seconds.append(time.perf_counter() - middle)
    entropy = float(-(share * np.log2(share)).sum()) * symbols.size / 8
    return CoderFigures(
        "ans", entropy, len(coded), symbols.size / min(encode_seconds), symbols.size / min(decode_seconds)
    )
