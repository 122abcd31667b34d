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
import itertools
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from compressjax.coding import _manifest
from compressjax.coding._bits import Buffer
from compressjax.coding._errors import ArtifactError, translated
from compressjax.coding._limits import Budget, checked_count, shown

FORMAT = 3  # the newest; a file has the oldest version that says what it holds
MAGIC = b"\x89CJX\r\n\x1a\n"  # as in PNG, detects text-mode transfers
_HEADER = struct.Struct("<8sHHIIIQ")
HEADER_BYTES = _HEADER.size
_DIGEST = DIGEST_BYTES = 32


class Frame(NamedTuple):
    """A verified file: its manifest, all its sections, their lengths, and the sizes of its overhead."""

    manifest: dict[str, Any]
    body: memoryview
    lengths: list[int]
    overhead: dict[str, int]

    @property
    def sections(self) -> list[memoryview]:
        """The sections, without a copy."""
        ends = list(itertools.accumulate(self.lengths, initial=0))
        return [self.body[start:stop] for start, stop in itertools.pairwise(ends)]


def build(manifest: dict[str, Any], sections: list[bytes], version: int = 1) -> bytes:
    """Bytes of a file; adds the format version and the section lengths to the manifest."""
    start = opening(manifest, version, [len(s) for s in sections], [hashlib.sha256(s).digest() for s in sections])
    return b"".join(sealed([start, *sections]))


def opening(manifest: dict[str, Any], version: int, lengths: list[int], digests: list[bytes]) -> bytes:
    """What stands before sections of these lengths and digests."""
    plain, packed = _manifest.encode({"format": version, **manifest, "sections": lengths})
    total = _HEADER.size + _DIGEST * (2 + len(digests)) + len(packed) + sum(lengths)
    header = _HEADER.pack(MAGIC, version, 0, len(packed), plain, len(lengths), total)
    return b"".join((header, hashlib.sha256(packed).digest(), *digests, packed))


def sealed(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The parts of a file, and the digest of all of them."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
        yield part
    yield whole.digest()


def parse(data: Buffer, name: str, budget: Budget | None = None) -> Frame:
    """Verifies a file against its digests and splits it into manifest and sections."""
    with translated(name):
        check_header(data[: _HEADER.size], len(data))
        return _parse(memoryview(data), budget or Budget(length=len(data)))


def check_header(head: Buffer, length: int) -> None:
    """Raises unless the first bytes are those of a file of this length."""
    if head[: len(MAGIC)] != MAGIC:
        raise ArtifactError(f"not a compressjax artifact: it does not start with {MAGIC!r}; check the path")
    if len(head) < _HEADER.size:
        raise ArtifactError(f"truncated: {length} bytes, less than the header; copy the file again")
    _, version, reserved, _, _, _, total = _HEADER.unpack_from(head)
    if not 1 <= version <= FORMAT or reserved:
        raise ArtifactError(
            f"format version {version}, but this compressjax reads version {FORMAT} and older: install the "
            f"compressjax that wrote it, or save it again as version {FORMAT}"
        )
    if total != length:
        state = "truncated" if length < total else "extended"
        raise ArtifactError(f"{state}: {length} bytes where its header says {total}; copy the file again")


class Head(NamedTuple):
    """What stands before the sections: the manifest, lengths and digests of the sections, and where they start."""

    manifest: dict[str, Any]
    lengths: list[int]
    digests: list[bytes]
    start: int
    overhead: dict[str, int]


def head_bytes(data: Buffer) -> int:
    """Bytes before the sections, from a checked header."""
    *_, packed, _, count, total = _HEADER.unpack_from(data)
    size = _HEADER.size + _DIGEST * (1 + count) + packed
    if size + _DIGEST > total:
        raise ArtifactError("damaged: its header claims more sections than it has bytes; copy the file again")
    return size


def head(data: Buffer, budget: Budget) -> Head:
    """Checks the manifest against its digest, and splits off what stands before the sections."""
    _, version, _, packed, plain, count, total = _HEADER.unpack_from(data)
    end = head_bytes(data)
    start = end - packed
    digests = [bytes(data[at : at + _DIGEST]) for at in range(_HEADER.size, start, _DIGEST)]
    body = data[start:end]
    if hashlib.sha256(body).digest() != digests[0]:
        raise ArtifactError("damaged: its manifest does not match its SHA-256; copy the file again")
    manifest = _manifest.decode(plain, body, budget)
    if type(manifest.get("format")) is not int or manifest["format"] != version:
        raise ArtifactError(
            f"damaged: its manifest is of format {shown(manifest.get('format'))}, its header of "
            f"{version}; copy the file again"
        )
    lengths = manifest.get("sections")
    if not isinstance(lengths, list) or len(lengths) != count:
        raise ArtifactError("damaged: its section lengths do not add up; copy the file again")
    if sum(map(checked_count, lengths)) != total - end - _DIGEST:
        raise ArtifactError("damaged: its section lengths do not add up; copy the file again")
    overhead = {"header": _HEADER.size, "manifest": packed, "checksums": _DIGEST * (2 + count)}
    return Head(manifest, lengths, digests[1:], end, overhead)


def check_section(data: Buffer, index: int, digests: list[bytes]) -> None:
    """Raises unless a section matches its digest."""
    if hashlib.sha256(data).digest() != digests[index]:
        raise ArtifactError(
            f"damaged: section {index + 1} of {len(digests)} does not match its SHA-256; copy the file again"
        )


def _parse(data: memoryview, budget: Budget) -> Frame:
    found = head(data, budget)
    frame = Frame(found.manifest, data[found.start : -_DIGEST], found.lengths, found.overhead)
    for index, section in enumerate(frame.sections):
        check_section(section, index, found.digests)
    if hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
        raise ArtifactError("damaged: it does not match its SHA-256; copy the file again")
    return frame
