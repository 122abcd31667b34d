"""The description of a grid that every method of quantization reads."""

from typing import Any, NamedTuple

from compressjax.core._settings import as_int
from compressjax.quant.grids._formats import FORMATS, SCALES, Format, format_name
from compressjax.quant.grids._settings import FALLBACKS, read_clip, read_granularity, read_second

Clip = str | tuple[str, float]


class Grid(NamedTuple):
    """Static, hashable description of a grid; `grid` makes it.

    Attributes:
        format: Name of the format of the codes.
        granularity: `"channel"`, `"tensor"`, a group size, or the two sizes of a tile.
        symmetric: False for a zero point.
        axis: Axes with separate scales; None follows the layout.
        order: Stored order of the codes; None chooses.
        activation: None, `"dynamic"` or `"static"`.
        clip: How the range of a block is found.
        fallback: What happens to leaves whose blocks do not divide.
        scale: Format of the scales.
        second: Blocks of scales that are quantized themselves, or None.
    """

    format: str
    granularity: str | int | tuple[int, int]
    symmetric: bool
    axis: tuple[int, ...] | None
    order: tuple[int, ...] | None
    activation: str | None
    clip: Clip
    fallback: str
    scale: str
    second: str | int | None

    @property
    def form(self) -> Format:
        """The row of the table of formats."""
        return FORMATS[self.format]

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.form.bits

    def __str__(self) -> str:
        return f"{self.format}, granularity={self.granularity}"


def grid(
    format: str | int = "int8",
    *,
    granularity: str | int | tuple[int, int] | None = None,
    symmetric: bool = True,
    scale: str | None = None,
    second: str | int | None = None,
    clip: Clip | None = None,
    axis: int | tuple[int, ...] | None = None,
    order: tuple[int, ...] | None = None,
    activation: str | None = None,
    fallback: str = "skip",
) -> Grid:
    """Describes a grid once, for every method that quantizes.

    .. math:: \\hat W = s\\,(q - z) \\quad\\text{or}\\quad \\hat W = s\\,t_q

    Methods take the same settings one by one, `rtn(4, granularity=64)`, or a ready grid,
    `rtn(grid(4, granularity=64))`. What is None is as the format says:

    ============================================  =======  =================  ==============================
    format                                        bits     granularity        scale
    ============================================  =======  =================  ==============================
    `int2` to `int8` (or the number of bits)      2 to 8   `"channel"`        `"float32"`
    `binary`, `ternary`                           1, 2     `"channel"`        `"float32"`, a mean of |W|
    `nf4`                                         4        64                 `"uint8"`, `second=256`
    `fp8_e4m3`, `fp8_e5m2`                        8        `"channel"`        `"float32"`
    `mxfp4`, `mxfp6_e2m3`, `mxfp6_e3m2`           4, 6, 6  32                 `"e8m0"`
    `mxfp8_e4m3`, `mxfp8_e5m2`, `mxint8`          8        32                 `"e8m0"`
    `nvfp4`                                       4        16                 `"e4m3"`, `second="tensor"`
    ============================================  =======  =================  ==============================

    Args:
        format: A name from the table, or 2 to 8 bits.
        granularity: `"channel"`, a scale per index of `axis`; `"tensor"`, one scale; a group size, a scale per group
            of inputs; or `(rows, columns)`, a scale per tile of inputs and outputs.
        symmetric: False adds a zero point; integer formats only.
        scale: `"float32"` (of 16 significant bits), `"float16"`, `"bfloat16"`, `"e8m0"` (powers of two, by the rule of
            the OCP formats), or `"e4m3"` and `"uint8"`, which have scales of their own.
        second: Blocks of scales that share a scale (double quantization): at most as many as this, over the last two
            axes, or `"tensor"`; `scale` is then `"uint8"` or `"e4m3"`.
        clip: Where the range of a block ends. `"absmax"` cuts nothing; `"mse"` takes the ratio of the range with the
            least squared error; `"percentile"` or `("percentile", 99.9)` cuts the largest magnitudes; `"octav"`
            finds the optimum of clipping and rounding noise by Newton's method; `"kl"` keeps the histogram most alike.
            Ternary: `"exact"`, the optimum, or `"twn"` and `("twn", 0.7)`, a threshold of 0.75 or 0.7 times the mean.
        axis: Axis or axes with separate scales, such as 0 for rows of an embedding; groups then run along the last
            other axis. None follows the layout: scales for layers and outputs, the last axis without a layout.
        order: Stored order of the trailing axes; None gives `(1, 0)` for `[in, out]` kernels and `()` otherwise.
        activation: None, `"dynamic"` (int8, a scale per row at run time) or `"static"` (int8, one scale from the
            statistics of `observe`); integer codes only.
        fallback: What happens to leaves whose axes the blocks do not divide: `"skip"` leaves them out,
            `"divisor"` takes the largest divisor below it (whole channels if that is below 8), `"channel"` takes whole
            channels, `"raise"` refuses.

    Returns:
        The description.

    Raises:
        ValueError: If a setting is out of range, or the format does not take it.

    Example:
        >>> grid("nf4").second
        256

    Source: integers: Jacob et al., arXiv:1712.05877 (jacob2018); binary: Rastegari et al., arXiv:1603.05279
    (rastegari2016); ternary: Li et al., arXiv:1605.04711 (li2016); nf4: Dettmers et al., arXiv:2305.14314
    (dettmers2023); fp8: Micikevicius et al., arXiv:2209.05433 (micikevicius2022); mx: Rouhani et al.,
    arXiv:2310.10537 (rouhani2023).
    """
    return make_grid(
        "grid", format, granularity, symmetric, axis, order, activation, clip, fallback, scale=scale, second=second
    )


def make_grid(
    who: str,
    bits: Any,
    granularity: Any = None,
    symmetric: bool = True,
    axis: Any = None,
    order: Any = None,
    activation: str | None = None,
    clip: Any = None,
    fallback: str = "skip",
    *,
    scale: str | None = None,
    second: Any = None,
) -> Grid:
    """Returns the grid after checks of its settings; a ready grid as it is."""
    if isinstance(bits, Grid):
        given = {
            "granularity": granularity, "axis": axis, "order": order, "activation": activation, "clip": clip,
            "scale": scale, "second": second,
        }  # fmt: skip
        wrong = [name for name, x in given.items() if x is not None]
        wrong += ["symmetric"] * (symmetric is not True) + ["fallback"] * (fallback != "skip")
        if wrong:
            raise ValueError(f"{who}: the grid is ready, so {wrong} would have no effect; give them to quant.grid")
        return bits
    form = FORMATS[format_name(who, bits, as_int)]
    granularity = read_granularity(who, form.granularity if granularity is None else granularity)
    if form.kind != "int" and not symmetric:
        raise ValueError(f"{who}: symmetric=False needs an integer format; {form.name} has no zero point")
    if activation not in (None, "dynamic", "static"):
        raise ValueError(f"{who}: activation={activation!r} must be None, 'dynamic' or 'static'")
    if activation is not None and form.kind in ("float", "table"):
        raise ValueError(f"{who}: activation={activation!r} needs integer codes; {form.name} has none: use int8")
    clip = read_clip(who, form, symmetric, form.clip if clip is None else clip)
    if fallback not in FALLBACKS:
        raise ValueError(f"{who}: fallback={fallback!r} must be one of {FALLBACKS}")
    if scale is not None and scale not in SCALES:
        raise ValueError(f"{who}: scale={scale!r} must be one of {tuple(SCALES)}")
    scale, second = read_second(who, form, scale, second)
    axes = None if axis is None else tuple(axis) if isinstance(axis, tuple | list) else (as_int(who, "axis", axis),)
    stored = None if order is None else tuple(order)
    return Grid(form.name, granularity, symmetric, axes, stored, activation, clip, fallback, scale, second)
