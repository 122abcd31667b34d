"""Numbers of the small types that quantized weights and their scales use, from their bits."""

from __future__ import annotations

import numpy as np

# Bits of exponent and mantissa, and the exponent's bias.
_FIELDS = {"float4_e2m1fn": (2, 1, 1), "float6_e2m3fn": (2, 3, 1), "float6_e3m2fn": (3, 2, 3),
           "float8_e4m3fn": (4, 3, 7), "float8_e5m2": (5, 2, 15)}  # fmt: skip
_EXPONENT = "float8_e8m0fnu"
_INTEGERS = {"int2": -2, "int4": -8, "uint2": 0, "uint4": 0}  # the smallest number
SMALL = (*_FIELDS, *_INTEGERS, _EXPONENT)


def numbers(name: str) -> np.ndarray:
    """The number of every bit pattern of a small type, float32 `[2^bits]`.

    The 6-bit and 4-bit types have neither infinities nor NaN, float8_e4m3fn has NaN where all bits but the sign are
    one, float8_e5m2 both as IEEE types have, and float8_e8m0fnu is a power of two, NaN where all bits are one.
    """
    if name == _EXPONENT:
        return np.where(np.arange(256) == 255, np.nan, np.exp2(np.arange(256.0) - 127)).astype(np.float32)
    if name in _INTEGERS:
        size = 4 if name.endswith("2") else 16
        return np.roll(np.arange(size, dtype=np.float32) + _INTEGERS[name], _INTEGERS[name])
    exponent, mantissa, bias = _FIELDS[name]
    patterns = np.arange(2 ** (exponent + mantissa))
    e, m = patterns >> mantissa, patterns & ((1 << mantissa) - 1)
    whole = np.where(e > 0, (1 << mantissa) + m, m) * np.exp2(np.maximum(e, 1) - bias - mantissa * 1.0)
    if name == "float8_e4m3fn":
        whole[-1] = np.nan
    if name == "float8_e5m2":
        whole[-4:] = np.inf, np.nan, np.nan, np.nan
    return np.concatenate([whole, -whole]).astype(np.float32)
