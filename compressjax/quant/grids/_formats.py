"""The table of number formats: what codes mean, and the settings that a format comes with."""

from typing import Any, NamedTuple


class Format(NamedTuple):
    """What one code of a block stands for.

    Attributes:
        name: As users write it.
        kind: `"int"`; how the nearest code is found.
        bits: Bits of a code.
        dtype: Dtype of symmetric codes.
        largest: Largest magnitude of a symmetric code.
        emax: Exponent of the power of two that `floor(log2(max|x|))` maps to, for power-of-two scales.
        granularity: Default blocks.
        scale: Default format of the scales.
        second: Default blocks of scales that are quantized themselves.
        clip: Default range.
    """

    name: str
    kind: str
    bits: int
    dtype: str
    largest: float
    emax: int
    granularity: str | int = "channel"
    scale: str = "float32"
    second: str | int | None = None
    clip: str = "absmax"


def _integers(bits: int) -> Format:
    return Format(f"int{bits}", "int", bits, "int8", 2.0 ** (bits - 1) - 1, bits - 2)


_ROWS = tuple(_integers(bits) for bits in range(2, 9))
FORMATS: dict[str, Format] = {row.name: row for row in _ROWS}


def format_name(who: str, given: Any, as_int: Any) -> str:
    """Name of a format, from its name or a number of bits."""
    if isinstance(given, str) and not given.isdigit():
        if given not in FORMATS:
            raise ValueError(f"{who}: format {given!r} is not known; use one of {', '.join(FORMATS)}")
        return given
    bits = as_int(who, "bits", given)
    if not 2 <= bits <= 8:
        raise ValueError(f"{who}: bits={bits} must be an integer from 2 to 8, or the name of a format")
    return f"int{bits}"
