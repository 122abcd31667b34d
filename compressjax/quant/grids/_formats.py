"""The table of number formats: what codes mean, and the settings that a format comes with."""

from typing import Any, NamedTuple


class Format(NamedTuple):
    """What one code of a block stands for.

    Attributes:
        name: As users write it.
        kind: `"int"`, `"float"`, `"table"`, `"binary"` or `"ternary"`: how the nearest code is found.
        bits: Bits of a code.
        dtype: Dtype of symmetric codes.
        largest: Largest magnitude of a code.
        emax: A block with a power-of-two scale has the exponent `floor(log2(max|x|)) - emax`.
        mantissa: Mantissa bits of a float.
        emin: Exponent of the smallest normal float.
        table: Name of the table that codes index, in nodes; None if codes are numbers.
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
    mantissa: int = 0
    emin: int = 0
    table: str | None = None
    granularity: str | int = "channel"
    scale: str = "float32"
    second: str | int | None = None
    clip: str = "absmax"

    @property
    def averages(self) -> bool:
        """Whether scales are means of magnitudes, not ranges."""
        return self.kind in ("binary", "ternary")


def _integers(bits: int) -> Format:
    return Format(f"int{bits}", "int", bits, "int8", 2.0 ** (bits - 1) - 1, bits - 2)


_E2M1 = Format("e2m1", "float", 4, "float4_e2m1fn", 6.0, 2, 1, 0)
_E2M3 = Format("e2m3", "float", 6, "uint8", 7.5, 2, 3, 0, "float6_e2m3fn")
_E3M2 = Format("e3m2", "float", 6, "uint8", 28.0, 4, 2, -2, "float6_e3m2fn")
_E4M3 = Format("fp8_e4m3", "float", 8, "float8_e4m3fn", 448.0, 8, 3, -6)
_E5M2 = Format("fp8_e5m2", "float", 8, "float8_e5m2", 57344.0, 15, 2, -14)


def _mx(name: str, form: Format) -> Format:
    """The OCP microscaling format of an element: blocks of 32 inputs that share a power of two."""
    return form._replace(name=name, granularity=32, scale="e8m0")


_ROWS = (
    *(_integers(bits) for bits in range(2, 9)),
    Format("binary", "binary", 1, "int8", 1.0, 0, clip="mean"),
    Format("ternary", "ternary", 2, "int8", 1.0, 0, clip="exact"),
    Format("nf4", "table", 4, "uint8", 1.0, -1, table="nf4", granularity=64, scale="uint8", second=256),
    _E4M3,
    _E5M2,
    _mx("mxfp4", _E2M1),
    _mx("mxfp6_e2m3", _E2M3),
    _mx("mxfp6_e3m2", _E3M2),
    _mx("mxfp8_e4m3", _E4M3),
    _mx("mxfp8_e5m2", _E5M2),
    _mx("mxint8", _integers(8)),
    _E2M1._replace(name="nvfp4", granularity=16, scale="e4m3", second="tensor"),
)
FORMATS: dict[str, Format] = {row.name: row for row in _ROWS}
# Largest magnitude of scales that are codes themselves; the others are numbers.
SCALES: dict[str, float | None] = {
    "float32": None, "float16": None, "bfloat16": None, "e8m0": None, "e4m3": 448.0, "uint8": 255.0
}  # fmt: skip


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
