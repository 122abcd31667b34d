"""Encodes one array with the codec that gives the fewest bytes."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Mapping

import numpy as np

from compressjax.coding import _integers, _mask, _rows, _table
from compressjax.coding._bits import Reader, varint
from compressjax.coding._dtypes import from_bytes, to_bytes
from compressjax.coding._errors import ArtifactError

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
)
_INTEGERS = ("packed", "huffman", "ans")
_DEFLATE_ALWAYS = 1 << 18
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
    flat = values.reshape(-1)
    if values.dtype.kind == "b":
        options += _mask_options(values)
    elif values.dtype.kind in "iu" and not rotate:
        options += _integers.candidates(flat)
    if item > 1 and depth < _DEPTH - 1:
        options += _word_options(values, rotate or values.dtype.kind in "fc", depth)
    best = _integers.smallest(options)
    if _may_deflate(data, len(best[1])):
        deflater = zlib.compressobj(9, wbits=-15)
        deflated = deflater.compress(data) + deflater.flush()
        if len(deflated) < len(best[1]):
            return "deflate", deflated
    return best


def decode(codec: object, data: bytes, dtype: np.dtype, shape: tuple[int, ...], depth: int = 0) -> np.ndarray:
    """Inverse of `encode`: an array of the given dtype and shape."""
    if codec not in CODECS:
        raise ArtifactError(f"unknown codec {codec!r}; this version reads {', '.join(CODECS)}")
    if depth >= _DEPTH:
        raise ArtifactError("streams are nested too deep; the file is damaged")
    count = math.prod(shape)
    masks = {"bernoulli": _mask.from_bernoulli, "gaps": _mask.from_gaps, "rows": lambda d, _: _rows.decode(d, shape)}
    words = {"planes": _from_planes, "palette": _from_palette, "sparse": _from_sparse}
    if codec == "raw":
        flat = from_bytes(data, dtype, count)
    elif codec == "fill":
        flat = np.full(count, from_bytes(data, dtype, 1)[0])
    elif codec == "deflate":
        flat = from_bytes(_table.inflate(data, count * dtype.itemsize), dtype, count)
    elif codec in _INTEGERS and dtype.kind in "biu":
        flat = _integers.decode(codec, data, dtype, count)
    elif codec in masks and dtype.kind == "b":
        flat = masks[codec](data, count)
    elif codec in words and dtype.itemsize > 1:
        flat = words[codec](Reader(data), _word(dtype), _words_in(dtype, shape), depth + 1).view(dtype)
    else:
        raise ArtifactError(f"codec {codec!r} does not hold {dtype.name}; the file is damaged")
    return flat.reshape(shape)


def _mask_options(mask: np.ndarray) -> list[_integers.Candidate]:
    flat = mask.reshape(-1)
    payloads = {"bernoulli": _mask.bernoulli(flat), "rows": _rows.encode(mask)}
    if 2 * int(flat.sum()) < flat.size:
        payloads["gaps"] = _mask.gaps(flat)
    packed = [option for option in _integers.candidates(flat) if option[1] == "packed"]
    return packed + _ready(payloads)


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


def _from_planes(reader: Reader, dtype: np.dtype, shape: tuple[int, ...], depth: int) -> np.ndarray:
    rotate, count = reader.take(1)[0], math.prod(shape)
    planes = [_unstream(reader, np.dtype(np.uint8), (count,), depth) for _ in range(dtype.itemsize)]
    words = np.stack(planes, 1).view(dtype.newbyteorder("<")).reshape(-1).astype(dtype)
    _finished(reader)
    if not rotate:
        return words
    return words >> dtype.type(1) | words << dtype.type(dtype.itemsize * 8 - 1)


def _from_palette(reader: Reader, dtype: np.dtype, shape: tuple[int, ...], depth: int) -> np.ndarray:
    size = reader.varint(_PALETTE)
    distinct = from_bytes(reader.take(size * dtype.itemsize), dtype, size)
    codes = _unstream(reader, np.dtype(np.uint16), shape, depth).reshape(-1)
    _finished(reader)
    if codes.size and int(codes.max()) >= size:
        raise ArtifactError("a palette code is outside its palette; the file is damaged")
    return distinct[codes]


def _from_sparse(reader: Reader, dtype: np.dtype, shape: tuple[int, ...], depth: int) -> np.ndarray:
    kept = _unstream(reader, np.dtype(bool), shape, depth).reshape(-1)
    out = np.zeros(kept.size, dtype)
    out[kept] = _unstream(reader, dtype, (int(kept.sum()),), depth)
    _finished(reader)
    return out


def _stream(values: np.ndarray, rotate: bool, depth: int) -> bytes:
    codec, payload = encode(values, rotate, depth + 1)
    return bytes([CODECS.index(codec)]) + varint(len(payload)) + payload


def _unstream(reader: Reader, dtype: np.dtype, shape: tuple[int, ...], depth: int) -> np.ndarray:
    index = reader.take(1)[0]
    codec = CODECS[index] if index < len(CODECS) else index
    return decode(codec, reader.take(reader.varint()), dtype, shape, depth)


def _finished(reader: Reader) -> None:
    if reader.rest():
        raise ArtifactError("bytes are left after the last stream of an array; the file is damaged")


def _may_deflate(data: bytes, best: int) -> bool:
    """Whether to try deflate: it is slow, so for long data a sample decides."""
    if len(data) <= _DEFLATE_ALWAYS:
        return True
    middle = len(data) // 2
    sample = zlib.compress(data[middle : middle + _DEFLATE_SAMPLE], 6)
    return len(sample) / _DEFLATE_SAMPLE < best / len(data)


def _word(dtype: np.dtype) -> np.dtype:
    """Unsigned type with the width of an entry; complex entries are two words."""
    return np.dtype(f"u{dtype.itemsize // (2 if dtype.kind == 'c' else 1)}")


def _words_in(dtype: np.dtype, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, 2) if dtype.kind == "c" else shape
