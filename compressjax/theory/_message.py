"""Coordinates in the fewest bytes: a file without names and checksums."""

from __future__ import annotations

import os
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from compressjax.coding import ArtifactError
from compressjax.core._settings import as_int
from compressjax.tensors import Codebook

_MOST = 2**20


class Message(NamedTuple):
    """What a message says.

    Attributes:
        coordinates: A codebook `[d]`, float16.
        seed: Of the subspace.
    """

    coordinates: Codebook
    seed: int


def write_message(path: str | os.PathLike[str], coordinates: Codebook, seed: int = 0) -> int:
    """Writes rounded coordinates and their seed to a file of hardly more bytes than their entropy.

    .. math:: \\ell = 8 (n_{head} + 2 k) + \\lceil -\\log_2 \\prod_i \\frac{n_{a_i} + 1/2}{i + k/2} \\rceil

    Codes are one large integer, under the counts of the codes before them, so there is no table of frequencies. An
    artifact says what it holds and notices damage, for two hundred bytes more; a small model has hardly more than that.

    Args:
        path: Where to write.
        coordinates: Of one table, float16, of 2 to 256 centroids, and codes `[d]`.
        seed: Of the subspace, 0 to 2^32 - 1.

    Returns:
        Bytes of the file.

    Raises:
        ValueError: If the coordinates are of another form or the seed is out of range.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> node = Codebook(jnp.array([-1.0, 1.0], jnp.float16), jnp.array([0, 1, 1, 1], jnp.uint8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     size = write_message(f"{folder}/m", node, seed=7)
        ...     found = read_message(f"{folder}/m")
        >>> size, found.seed, found.coordinates.codes.tolist()
        (8, 7, [0, 1, 1, 1])

    Source: the estimator: Krichevsky and Trofimov, The performance of universal encoding, 1981 (krichevsky1981).
    """
    number = as_int("write_message", "seed", seed)
    table, codes = np.asarray(coordinates.centroids), np.asarray(coordinates.codes)
    fits = table.ndim == 1 and 2 <= table.size <= 256 and table.dtype == np.float16 and codes.ndim == 1
    if not fits or not 0 < codes.size <= _MOST or not 0 <= number < 2**32:
        raise ValueError(f"write_message: a table {table.dtype}{list(table.shape)} with codes {list(codes.shape)} and "
                         f"the seed {seed}; give float16 [k], 2 <= k <= 256, codes [d] of as_codebook, and a seed "
                         "below 2^32")  # fmt: skip
    data = bytes([table.size - 1]) + _varint(codes.size) + _varint(number) + table.astype("<f2").tobytes()
    data += _pack(codes.astype(np.int64), table.size)
    with open(path, "wb") as file:
        file.write(data)
    return len(data)


def read_message(path: str | os.PathLike[str]) -> Message:
    """Returns what `write_message` wrote.

    Args:
        path: The file.

    Returns:
        Coordinates and seed.

    Raises:
        ArtifactError: If no message has these bytes. It has no checksum: most changed bytes give another message.
        OSError: If the file cannot be read.

    Example:
        >>> import tempfile
        >>> node = Codebook(jnp.array([0.0, 2.0], jnp.float16), jnp.array([1], jnp.uint8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     size = write_message(f"{folder}/m", node)
        ...     read_message(f"{folder}/m").coordinates.materialize().tolist()
        [2.0]

    Source: as for `write_message`.
    """
    with open(path, "rb") as file:
        data = file.read(64 * _MOST)
    try:
        levels, (size, place) = data[0] + 1, _number(data, 1)
        seed, place = _number(data, place)
        table = np.frombuffer(data[place : place + 2 * levels], "<f2")
        if levels < 2 or len(table) < levels or not 0 < size <= _MOST or seed >= 2**32:
            raise ValueError
        codes = _unpack(data[place + 2 * levels :], levels, size)
    except (IndexError, ValueError):
        raise ArtifactError(
            f"{os.fspath(path)} is no message of coordinates; write it with theory.write_message"
        ) from None
    return Message(Codebook(jnp.asarray(table.astype(np.float16)), jnp.asarray(codes.astype(np.uint8))), seed)


def _pack(codes: np.ndarray, levels: int) -> bytes:
    """Codes as one integer; the last one goes in first, so that they come out in order."""
    counts, state = np.bincount(codes, minlength=levels), 0
    for i in range(len(codes) - 1, -1, -1):
        code = codes[i]
        counts[code] -= 1
        weights = [2 * int(n) + 1 for n in counts]
        share = weights[code]
        state = state // share * sum(weights) + sum(weights[:code]) + state % share
    return state.to_bytes((state.bit_length() + 7) // 8, "little")


def _unpack(data: bytes, levels: int, size: int) -> np.ndarray:
    if data[-1:] == b"\0":
        raise ValueError
    state, codes, weights = int.from_bytes(data, "little"), np.zeros(size, np.int64), [1] * levels
    for i in range(size):
        total = sum(weights)
        state, rest = divmod(state, total)
        code = 0
        while rest >= weights[code]:
            rest -= weights[code]
            code += 1
        state = state * weights[code] + rest
        codes[i] = code
        weights[code] += 2
    if state:
        raise ValueError
    return codes


def _varint(number: int) -> bytes:
    return (b"" if number < 128 else bytes([number & 127 | 128])) + (
        bytes([number]) if number < 128 else _varint(number >> 7)
    )


def _number(data: bytes, place: int) -> tuple[int, int]:
    number = 0
    for i in range(5):
        byte = data[place + i]
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, place + i + 1
    raise ValueError
