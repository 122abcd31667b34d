"""The description of a grid that every method of quantization reads."""

from typing import Any, NamedTuple

from compressjax.core._settings import as_int
from compressjax.quant.grids._formats import FORMATS, Format, format_name

FALLBACKS = ("skip", "divisor", "channel", "raise")
CLIPS = ("absmax", "mse")
_PLAIN = {"granularity": None, "symmetric": True, "clip": None, "fallback": "skip"}


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
    """

    format: str
    granularity: str | int | tuple[int, int]
    symmetric: bool
    axis: tuple[int, ...] | None
    order: tuple[int, ...] | None
    activation: str | None
    clip: str
    fallback: str

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
    axis: int | tuple[int, ...] | None = None,
    order: tuple[int, ...] | None = None,
    activation: str | None = None,
    clip: str | None = None,
    fallback: str = "skip",
) -> Grid:
    """Describes a grid once, for every method that quantizes.

    .. math:: \\hat W = s\\,(q - z)

    Methods take the same settings one by one, `rtn(4, granularity=64)`, or a ready grid,
    `rtn(grid(4, granularity=64))`.

    Args:
        format: `"int2"` to `"int8"`, or the number of bits.
        granularity: `"channel"`, a scale per index of `axis`; `"tensor"`, one scale; a group size, a scale per group
            of inputs; or `(rows, columns)`, a scale per tile of inputs and outputs. None takes that of the format.
        symmetric: False adds a zero point; integer formats only.
        axis: Axis or axes with separate scales, such as 0 for rows of an embedding; groups then run along the last
            other axis. None follows the layout: scales for layers and outputs, the last axis without a layout.
        order: Stored order of the trailing axes; None gives `(1, 0)` for `[in, out]` kernels and `()` otherwise.
        activation: None, `"dynamic"` (int8, a scale per row at run time) or `"static"` (int8, one scale from the
            statistics of `observe`).
        clip: `"absmax"`, or `"mse"` to shrink the range of each block by the ratio with the least squared error.
        fallback: What happens to leaves whose axes the blocks do not divide: `"skip"` leaves them out,
            `"divisor"` takes the largest divisor below it (whole channels if that is below 8), `"channel"` takes whole
            channels, `"raise"` refuses.

    Returns:
        The description.

    Raises:
        ValueError: If a setting is out of range, or the format does not take it.

    Example:
        >>> grid(4, granularity=64).bits
        4

    Source: Jacob et al., arXiv:1712.05877 (jacob2018).
    """
    return make_grid("grid", format, granularity, symmetric, axis, order, activation, clip, fallback)


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
) -> Grid:
    """Returns the grid after checks of its settings; a ready grid as it is."""
    if isinstance(bits, Grid):
        given = {
            "granularity": granularity, "symmetric": symmetric, "axis": axis, "order": order, "activation": activation,
            "clip": clip, "fallback": fallback,
        }  # fmt: skip
        if wrong := [name for name, x in given.items() if x != _PLAIN.get(name)]:
            raise ValueError(f"{who}: the grid is ready, so {wrong} would have no effect; give them to quant.grid")
        return bits
    name = format_name(who, bits, as_int)
    form = FORMATS[name]
    granularity = _granularity(who, form.granularity if granularity is None else granularity)
    clip = form.clip if clip is None else clip
    if activation not in (None, "dynamic", "static"):
        raise ValueError(f"{who}: activation={activation!r} must be None, 'dynamic' or 'static'")
    if clip not in CLIPS:
        raise ValueError(f"{who}: clip={clip!r} must be one of {CLIPS}")
    if fallback not in FALLBACKS:
        raise ValueError(f"{who}: fallback={fallback!r} must be one of {FALLBACKS}")
    axes = None if axis is None else tuple(axis) if isinstance(axis, tuple | list) else (as_int(who, "axis", axis),)
    stored = None if order is None else tuple(order)
    return Grid(name, granularity, symmetric, axes, stored, activation, clip, fallback)


def _granularity(who: str, given: Any) -> Any:
    """A name, a group size or a tile."""
    if isinstance(given, str):
        sizes: tuple[int, ...] = (1,) if given in ("channel", "tensor") else (0,)
    elif isinstance(given, tuple | list):
        given = tuple(as_int(who, "granularity", size) for size in given)
        sizes = given if len(given) == 2 else (0,)
    else:
        given = as_int(who, "granularity", given)
        sizes = (given,)
    if min(sizes) < 1:
        raise ValueError(
            f"{who}: granularity={given!r} must be 'channel', 'tensor', a group size such as 64, or the sizes of a "
            "tile such as (16, 16)"
        )
    return given
