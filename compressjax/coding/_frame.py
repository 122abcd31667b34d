"""The frame of a file: header, digests, manifest, sections, digest of the whole file.

| bytes | what |
|---|---|
| 32 | magic, format version, manifest length (deflated, plain), section count, file length; little endian |
| 32 (1 + s) | SHA-256 of the manifest and of each section |
| | manifest, deflated |
| | sections |
| 32 | SHA-256 of all bytes before |
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
from pathlib import Path
from typing import Any, NamedTuple

from compressjax.coding import _manifest
from compressjax.coding._errors import ArtifactError
from compressjax.coding._leaf import checked_count

FORMAT = 1
MAGIC = b"\x89CJX\r\n\x1a\n"  # as in PNG, detects text-mode transfers
_HEADER = struct.Struct("<8sHHIIIQ")
_DIGEST = 32


class Frame(NamedTuple):
    """A verified file: its manifest, its sections and the sizes of its overhead."""

    manifest: dict[str, Any]
    sections: list[bytes]
    overhead: dict[str, int]


def build(manifest: dict[str, Any], sections: list[bytes]) -> bytes:
    """Bytes of a file; adds the format version and the section lengths to the manifest."""
    plain, packed = _manifest.encode({"format": FORMAT, **manifest, "sections": [len(s) for s in sections]})
    digests = b"".join(hashlib.sha256(part).digest() for part in (packed, *sections))
    total = _HEADER.size + len(digests) + len(packed) + sum(map(len, sections)) + _DIGEST
    header = _HEADER.pack(MAGIC, FORMAT, 0, len(packed), plain, len(sections), total)
    body = b"".join((header, digests, packed, *sections))
    return body + hashlib.sha256(body).digest()


def parse(data: bytes, name: str) -> Frame:
    """Verifies a file against its digests and splits it into manifest and sections."""
    try:
        return _parse(data)
    except ArtifactError as error:
        raise ArtifactError(f"{name}: {error}") from error


def _parse(data: bytes) -> Frame:
    if data[: len(MAGIC)] != MAGIC:
        raise ArtifactError(f"not a compressjax artifact: it does not start with {MAGIC!r}; check the path")
    if len(data) < _HEADER.size:
        raise ArtifactError(f"truncated: {len(data)} bytes, less than the header; copy the file again")
    _, version, reserved, packed, plain, count, total = _HEADER.unpack_from(data)
    if version != FORMAT or reserved:
        raise ArtifactError(
            f"format version {version}, but this compressjax reads version {FORMAT}: install the "
            f"compressjax that wrote it, or save it again as version {FORMAT}"
        )
    if total != len(data):
        state = "truncated" if len(data) < total else "extended"
        raise ArtifactError(f"{state}: {len(data)} bytes where its header says {total}; copy the file again")
    start = _HEADER.size + _DIGEST * (1 + count)
    if start + packed + _DIGEST > total:
        raise ArtifactError("damaged: its header claims more sections than it has bytes; copy the file again")
    whole = hashlib.sha256(memoryview(data)[:-_DIGEST]).digest() == data[-_DIGEST:]
    digests = [data[at : at + _DIGEST] for at in range(_HEADER.size, start, _DIGEST)]
    body = data[start : start + packed]
    if hashlib.sha256(body).digest() != digests[0]:
        raise ArtifactError("damaged: its manifest does not match its SHA-256; copy the file again")
    manifest = _manifest.decode(plain, body)
    if manifest.get("format") != FORMAT:
        raise ArtifactError(
            f"damaged: its manifest is of format {str(manifest.get('format'))[:20]}, its header of "
            f"{FORMAT}; copy the file again"
        )
    sections = _sections(data[start + packed : -_DIGEST], manifest.get("sections"), digests[1:])
    if not whole:
        raise ArtifactError("damaged: it does not match its SHA-256; copy the file again")
    overhead = {"header": _HEADER.size, "manifest": packed, "checksums": _DIGEST * (2 + count)}
    return Frame(manifest, sections, overhead)


def _sections(data: bytes, lengths: Any, digests: list[bytes]) -> list[bytes]:
    if not isinstance(lengths, list) or len(lengths) != len(digests) or sum(map(checked_count, lengths)) != len(data):
        raise ArtifactError("damaged: its section lengths do not add up; copy the file again")
    out, at = [], 0
    for index, (length, digest) in enumerate(zip(lengths, digests, strict=True)):
        out.append(data[at : at + length])
        if hashlib.sha256(out[-1]).digest() != digest:
            raise ArtifactError(
                f"damaged: section {index + 1} of {len(digests)} does not match its SHA-256; copy the file again"
            )
        at += length
    return out


def load(path: str | os.PathLike[str]) -> bytes:
    """Reads the bytes of a file."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}; check the path") from error


def store(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file atomically: to a temporary file in its directory, flushed and renamed."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be written: {error.strerror or error}; check that {target.parent} exists and is writable"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
