"""Zstandard at its strongest, as checkpoints of Orbax use it at a weaker level."""

import zstandard

_LEVEL = 22


def compress(data: bytes) -> bytes:
    """One frame."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def decompress(data: bytes) -> bytes:
    """The bytes again."""
    return zstandard.ZstdDecompressor().decompress(data)
