"""Lossless coding with models that learn while they code."""

from compressjax.theory.lossless._bits_back import BitsBack, decode_rows, encode_rows
from compressjax.theory.lossless._bytes import decode_bytes, encode_bytes
from compressjax.theory.lossless._online import Online, OnlineState, online
from compressjax.theory.lossless._tokens import decode_tokens, encode_tokens

__all__ = [
    "BitsBack", "Online", "OnlineState", "decode_bytes", "decode_rows", "decode_tokens", "encode_bytes", "encode_rows",
    "encode_tokens", "online",
]  # fmt: skip
