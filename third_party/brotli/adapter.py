"""Brotli at its strongest."""

import brotli


def compress(data: bytes) -> bytes:
    """One stream, of the largest window."""
    return brotli.compress(data, quality=11, lgwin=24)


def decompress(data: bytes) -> bytes:
    """The bytes again."""
    return brotli.decompress(data)
