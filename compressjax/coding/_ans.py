r"""Asymmetric numeral systems with a stored frequency table.

A table entry is a rounded logarithm, \(e_i = \mathrm{round}(r \log_2 (n / c_i))\) with \(r\) steps per octave. The
weight in the model is the integer \(\lfloor 2^{24 - e_i / r} \rfloor\) from an integer table, so that encoder and
decoder build the same model on every machine. Rounding costs about \(0.029 / r^2\) bits per symbol. Each stream uses
the number of steps with the smallest total size of table and payload.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import constriction
import numpy as np

from compressjax.coding import _table
from compressjax.coding._bits import Buffer, Reader
from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import BLOCK, Budget

STEPS = (1, 2, 4, 8)
_OCTAVE = np.array([16777216, 15384775, 14107901, 12937002, 11863283, 10878678, 9975792, 9147842], np.int64)
_DEEPEST = 24
_START = 20  # the first symbol on an empty coder costs up to 24 bits, for any probability


def weights(exponents: np.ndarray, steps: int) -> np.ndarray:
    """Integer weights `2 ** (24 - exponents / steps)`, at least 1."""
    eighths = np.asarray(exponents, np.int64) * (8 // steps)
    return np.maximum(_OCTAVE[eighths % 8] >> np.minimum(eighths // 8, 62), 1)


def model(frequencies: np.ndarray) -> constriction.stream.model.Categorical:
    """Model of the coder for integer weights `[k]`, `k >= 2`, at least one of them positive."""
    return constriction.stream.model.Categorical(np.asarray(frequencies, np.float64), perfect=False)


def histogram(symbols: np.ndarray, alphabet: int) -> np.ndarray:
    """Counts each of `[0, alphabet)` in int32 `[n]`; in blocks, since NumPy converts its input to 64 bits."""
    total = np.zeros(alphabet, np.int64)
    for start in range(0, symbols.size, BLOCK):
        total += np.bincount(symbols[start : start + BLOCK], minlength=alphabet)
    return total


def plan(counts: np.ndarray) -> tuple[float, int, np.ndarray]:
    """Best table for symbol counts `[k]`: (bits of table and payload, steps per octave, table entries).

    A table entry is 0 for an absent symbol, else 1 plus its exponent minus the smallest exponent.
    """
    present = counts > 0
    surprise = np.log2(counts.sum() / np.maximum(counts, 1))
    tables = []
    for steps in STEPS:
        exponents = np.minimum(np.rint(surprise * steps).astype(np.int64), _DEEPEST * steps)
        exponents -= exponents[present].min()
        entries = np.where(present, exponents + 1, 0)
        share = _frequencies(entries, steps)
        bits = float((counts[present] * np.log2(share.sum() / share[present])).sum())
        tables.append((bits + _START + 8 * (1 + len(_table.encode(entries))), steps, entries))
    return min(tables, key=lambda table: table[0])


def encode(symbols: np.ndarray, planned: tuple[float, int, np.ndarray]) -> bytes:
    """Table and coded symbols; `symbols` are int32 `[n]` in `[0, k)`."""
    _, steps, entries = planned
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(symbols, model(_frequencies(entries, steps)))
    return bytes([STEPS.index(steps)]) + _table.encode(entries) + stack_bytes(coder)


def decode(reader: Reader, alphabet: int, count: int, budget: Budget) -> Iterator[np.ndarray]:
    """Inverse of `encode`: int32 `[count]` in blocks; reads all remaining bytes."""
    index = reader.take(1)[0]
    if index >= len(STEPS):
        raise ArtifactError(f"unknown frequency table {index}; the file is damaged")
    entries = _table.decode(reader, alphabet)
    if alphabet < 2 or not entries.any():
        raise ArtifactError("a frequency table is empty; the file is damaged")
    budget.work(4 * alphabet)
    coder = stack(reader.rest())
    yield from symbols(coder, model(_frequencies(entries, STEPS[index])), count, budget, alphabet)
    close(coder)


def symbols(coder: Any, coded: Any, count: int, budget: Budget, alphabet: int = 2) -> Iterator[np.ndarray]:
    """Decodes int32 `[count]` in blocks."""
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        budget.work(size if alphabet == 2 else 3 * size)
        yield coder.decode(coded, size)


def stack_bytes(coder: constriction.stream.stack.AnsCoder) -> bytes:
    """Words of the coder, little endian, without trailing zero bytes."""
    return coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


def stack(data: Buffer) -> constriction.stream.stack.AnsCoder:
    """Inverse of `stack_bytes`."""
    if data[-1:] == b"\0":
        raise ArtifactError("an entropy-coded stream ends in a zero byte; the file is damaged")
    words = np.frombuffer(bytes(data) + bytes(-len(data) % 4), "<u4").astype(np.uint32)
    return constriction.stream.stack.AnsCoder(words)


def close(coder: constriction.stream.stack.AnsCoder) -> None:
    """Raises if the symbols did not use up the stream."""
    if not coder.is_empty():
        raise ArtifactError(
            "an entropy-coded stream does not end with its last symbol; the file is damaged, or the "
            "installed constriction codes differently from the one that wrote it"
        )


def _frequencies(entries: np.ndarray, steps: int) -> np.ndarray:
    return np.where(entries > 0, weights(np.maximum(entries - 1, 0), steps), 0)
