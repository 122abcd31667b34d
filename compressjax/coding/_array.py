"""Encodes one array with the codec that gives the fewest bytes."""

from __future__ import annotations

import functools
import sys
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from compressjax.coding import _context, _integers, _mask, _rows, _runs, _table
from compressjax.coding._bits import Buffer, Reader, varint
from compressjax.coding._dtypes import from_bytes, to_bytes
from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import BLOCK, Budget, shown

CODECS = (
    "raw",
    "fill",
    "packed",
    "huffman",
    "ans",
    "deflate",
    "bernoulli",
    "gaps",
    "rows",
    "planes",
    "palette",
    "sparse",
    "context",
    "runs",
)
NEWER = ("context", "runs")  # since version 3 of the format; only whole arrays have them, not streams inside others
_INTEGERS = ("packed", "huffman", "ans")
_DEFLATE_ALWAYS = 1 << 12
_DEFLATE_WHOLE = 1 << 18
_DEFLATE_SAMPLE = 1 << 16
_PALETTE = 4096
_DEPTH = 4


def encode(values: np.ndarray, rotate: bool = False, depth: int = 0) -> tuple[str, bytes]:
    """Name and payload of the codec with the fewest bytes, for an array of a NumPy type."""
    data = to_bytes(values)
    if not values.size:
        return "raw", b""
    item = values.dtype.itemsize
    if data == data[:item] * values.size:
        return "fill", data[:item]
    options: list[_integers.Candidate] = [(len(data), "raw", lambda: data)]
    best = _integers.smallest(options + _options(values, rotate, depth))
    if _may_deflate(data, len(best[1])):
        deflated = _deflated(data)
        if len(deflated) < len(best[1]):
            return "deflate", deflated
    return best


def _deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, wbits=-15)
    return deflater.compress(data) + deflater.flush()


def _options(values: np.ndarray, rotate: bool, depth: int) -> list[_integers.Candidate]:
    """Estimated size and encoder of every codec but `raw`, `fill` and `deflate`, for an array that is not all alike."""
    options: list[_integers.Candidate] = []
    flat = values.reshape(-1)
    if values.dtype.kind == "b":
        options += _mask_options(values, depth)
    elif values.dtype.kind in "iu" and not rotate:
        options += _integers.candidates(flat)
    if values.dtype.kind in "biu" and not rotate and not depth:
        options += _context.candidates(values)
    if values.dtype.itemsize > 1 and depth < _DEPTH - 1:
        options += _word_options(values, rotate or values.dtype.kind in "fc", depth)
    return options


def codec_bytes(values: np.ndarray) -> dict[str, int]:
    """Returns the bytes of an array under every codec that can hold it; a file takes the fewest.

    Args:
        values: Array of a NumPy type, not all entries alike; integer codes or a mask show most codecs.

    Returns:
        `{codec: bytes}` of payloads, without manifest and checksums.

    Raises:
        ValueError: If the array has no entries, or all entries are alike: then one entry is stored.

    Example:
        >>> sizes = codec_bytes(np.arange(4096, dtype=np.uint8).reshape(64, 64) % 5)
        >>> sizes["ans"] < sizes["huffman"] < sizes["packed"] < sizes["raw"]
        True
    """
    data = to_bytes(values)
    if not values.size or data == data[: values.dtype.itemsize] * values.size:
        raise ValueError("codec_bytes: all entries are alike, so files store one of them; give an array with several")
    sizes = {name: len(run()) for _, name, run in _options(values, False, 0)}
    return {"raw": len(data)} | sizes | {"deflate": len(_deflated(data))}


def decode(codec: object, data: Buffer, dtype: np.dtype, shape: tuple[int, ...], budget: Budget) -> np.ndarray:
    """Inverse of `encode`: an array of the given dtype and shape."""
    out = np.empty(shape, dtype)
    fill(out.reshape(-1), codec, data, shape, budget)
    return out


def fill(out: np.ndarray, codec: object, data: Buffer, shape: tuple[int, ...], budget: Budget, depth: int = 0) -> None:
    """Decodes the entries of an array of shape `shape` into `out` `[n]`, with only blocks of entries besides it."""
    if codec not in CODECS:
        raise ArtifactError(f"unknown codec {shown(codec)}; this version reads {', '.join(CODECS)}")
    if depth >= _DEPTH:
        raise ArtifactError("streams are nested too deep; the file is damaged")
    if not out.size and (codec != "raw" or len(data)):
        raise ArtifactError("an array without entries has bytes; the file is damaged")
    budget.work(out.size // 8)
    dtype = out.dtype
    masks = {"bernoulli": _mask.from_bernoulli, "gaps": _mask.from_gaps}
    words = {"planes": _from_planes, "palette": _from_palette, "sparse": _from_sparse}
    if codec == "raw":
        out[:] = from_bytes(data, dtype, out.size)
    elif codec == "fill":
        out[:] = from_bytes(data, dtype, 1)[0]
    elif codec == "deflate":
        parts = _table.inflate_blocks(data, out.size * dtype.itemsize)
        _put(out, (from_bytes(part, dtype, len(part) // dtype.itemsize) for part in parts))
    elif codec in _INTEGERS and dtype.kind in "biu":
        _put(out, _integers.decode(codec, data, dtype, out.size, budget))
    elif codec in masks and dtype.kind == "b":
        masks[codec](data, out, budget)
    elif codec in NEWER and depth:
        raise ArtifactError(f"codec {codec!r} inside another; the file is damaged")
    elif codec == "context" and dtype.kind in "biu":
        _put(out, _context.decode(data, dtype, out.size, budget))
    elif codec == "runs" and dtype.kind == "b":
        _runs.decode(data, out, budget)
    elif codec == "rows" and dtype.kind == "b":
        _rows.decode(data, out, shape, budget)
    elif codec in words and dtype.itemsize > 1:
        words[codec](Reader(data), out.view(_word(dtype)), _words_in(dtype, shape), budget, depth + 1)
    else:
        raise ArtifactError(f"codec {codec!r} does not hold {dtype.name}; the file is damaged")


def scatter(out: np.ndarray, kept: np.ndarray) -> None:
    """Moves entries from the end of `out` `[n]` to where `kept` `[n]` holds, and sets the others to zero."""
    start = out.size - np.count_nonzero(kept)
    for first in range(0, out.size, BLOCK):  # what is read is never before what is written
        here = kept[first : first + BLOCK]
        stop = start + np.count_nonzero(here)
        entries = out[start:stop].copy()
        out[first : first + BLOCK] = 0
        out[first : first + BLOCK][here] = entries
        start = stop


def _put(out: np.ndarray, blocks: Iterable[np.ndarray]) -> None:
    start = 0
    for block in blocks:
        out[start : start + block.size] = block
        start += block.size


def _mask_options(mask: np.ndarray, depth: int) -> list[_integers.Candidate]:
    flat = mask.reshape(-1)
    options = _ready({"bernoulli": _mask.bernoulli(flat), "rows": _rows.encode(mask)})
    if not depth and (runs := _runs.candidate(flat)) is not None:
        options.append(runs)
    if 2 * int(np.count_nonzero(flat)) < flat.size:
        options.append(_mask.gaps_option(flat))
    return [option for option in _integers.candidates(flat) if option[1] == "packed"] + options


def _ready(payloads: Mapping[str, bytes | None]) -> list[_integers.Candidate]:
    return [(len(p), name, functools.partial(bytes, p)) for name, p in payloads.items() if p is not None]


def _word_options(values: np.ndarray, rotate: bool, depth: int) -> list[_integers.Candidate]:
    """Codecs for entries of several bytes: byte planes, a palette of distinct values, a mask of nonzero entries."""
    words = np.ascontiguousarray(values).reshape(-1).view(_word(values.dtype))
    words = words.reshape(_words_in(values.dtype, values.shape))
    flat = words.reshape(-1)
    payloads = {"planes": _planes(flat, rotate, depth)}
    sample = np.unique(flat[:: max(1, flat.size // 8192)])
    if sample.size * 2 < min(flat.size, 8192) and sample.size <= _PALETTE:
        distinct, codes = np.unique(flat, return_inverse=True)
        if distinct.size <= _PALETTE:
            inner = codes.reshape(words.shape).astype(np.uint16)
            payloads["palette"] = varint(distinct.size) + to_bytes(distinct) + _stream(inner, False, depth)
    kept = words != 0
    if 0.02 < 1 - kept.mean() < 1:
        payloads["sparse"] = _stream(kept, False, depth) + _stream(words[kept], rotate, depth)
    return _ready(payloads)


def _planes(words: np.ndarray, rotate: bool, depth: int) -> bytes:
    """Encodes each byte of the words as a separate stream; rotation moves the exponent of a float into one byte."""
    if rotate:
        bits = words.dtype.itemsize * 8
        words = words << words.dtype.type(1) | words >> words.dtype.type(bits - 1)
    planes = words.astype(words.dtype.newbyteorder("<"), copy=False).view(np.uint8).reshape(words.size, -1)
    return bytes([int(rotate)]) + b"".join(_stream(planes[:, i].copy(), False, depth) for i in range(planes.shape[1]))


def _from_planes(reader: Reader, out: np.ndarray, shape: tuple[int, ...], budget: Budget, depth: int) -> None:
    rotate, width = reader.take(1)[0], out.dtype.itemsize
    planes = out.view(np.uint8).reshape(-1, width)
    for place in range(width) if sys.byteorder == "little" else reversed(range(width)):
        _unstream(reader, planes[:, place], (out.size,), budget, depth)
    _finished(reader)
    bits = out.dtype.type(8 * width - 1)
    for start in range(0, out.size if rotate else 0, BLOCK):
        block = out[start : start + BLOCK]
        block[:] = block >> out.dtype.type(1) | block << bits


def _from_palette(reader: Reader, out: np.ndarray, shape: tuple[int, ...], budget: Budget, depth: int) -> None:
    size = reader.varint(_PALETTE)
    distinct = from_bytes(reader.take(size * out.dtype.itemsize), out.dtype, size)
    codes = out.view(np.uint16)[-out.size :]  # the end of the result, where nothing is written before it is read
    _unstream(reader, codes, shape, budget, depth)
    _finished(reader)
    for start in range(0, out.size, BLOCK):
        block = codes[start : start + BLOCK].copy()
        if int(block.max()) >= size:
            raise ArtifactError("a palette code is outside its palette; the file is damaged")
        out[start : start + BLOCK] = distinct[block]


def _from_sparse(reader: Reader, out: np.ndarray, shape: tuple[int, ...], budget: Budget, depth: int) -> None:
    kept = np.empty(out.size, bool)
    _unstream(reader, kept, shape, budget, depth)
    count = int(np.count_nonzero(kept))
    _unstream(reader, out[out.size - count :], (count,), budget, depth)
    _finished(reader)
    scatter(out, kept)


def _stream(values: np.ndarray, rotate: bool, depth: int) -> bytes:
    codec, payload = encode(values, rotate, depth + 1)
    return bytes([CODECS.index(codec)]) + varint(len(payload)) + payload


def _unstream(reader: Reader, out: np.ndarray, shape: tuple[int, ...], budget: Budget, depth: int) -> None:
    index = reader.take(1)[0]
    codec = CODECS[index] if index < len(CODECS) else index
    fill(out, codec, reader.take(reader.varint()), shape, budget, depth)


def _finished(reader: Reader) -> None:
    if len(reader.rest()):
        raise ArtifactError("bytes are left after the last stream of an array; the file is damaged")


def _may_deflate(data: bytes, best: int) -> bool:
    """Whether to try deflate at its slowest level: for short data always, else a faster level or a sample decides."""
    if len(data) <= _DEFLATE_ALWAYS:
        return True
    if len(data) <= _DEFLATE_WHOLE:
        return len(zlib.compress(data, 4)) < min(1.05 * best, len(data))
    middle = len(data) // 2
    sample = zlib.compress(data[middle : middle + _DEFLATE_SAMPLE], 6)
    return len(sample) / _DEFLATE_SAMPLE < best / len(data)


def _word(dtype: np.dtype) -> np.dtype:
    """Unsigned type with the width of an entry; complex entries are two words."""
    return np.dtype(f"u{dtype.itemsize // (2 if dtype.kind == 'c' else 1)}")


def _words_in(dtype: np.dtype, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, 2) if dtype.kind == "c" else shape
