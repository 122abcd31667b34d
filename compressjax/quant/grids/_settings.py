"""Settings of a grid that have several forms, read into one."""

from typing import Any

from compressjax.core._settings import as_int, as_number
from compressjax.quant.grids._formats import SCALES, Format

FALLBACKS = ("skip", "divisor", "channel", "raise")
_PERCENT, _TWN = 99.9, 0.75


def read_granularity(who: str, given: Any) -> Any:
    """A name, a group size or the sizes of a tile."""
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


def clips(form: Format, symmetric: bool) -> tuple[str, ...]:
    """The ranges that a format takes."""
    if form.kind == "binary":
        return ("mean",)
    if form.kind == "ternary":
        return ("exact", "twn")
    if not symmetric:
        return ("absmax", "mse")
    return ("absmax", "mse", "percentile", "octav", "kl") if form.kind == "int" else ("absmax", "mse", "percentile")


def read_clip(who: str, form: Format, symmetric: bool, given: Any) -> Any:
    """The name of a range, with its number if it has one."""
    name, number = given if isinstance(given, tuple | list) and len(given) == 2 else (given, None)
    if name not in (allowed := clips(form, symmetric)):
        kind = form.name if symmetric else f"{form.name} with a zero point"
        raise ValueError(f"{who}: clip={given!r} must be one of {allowed} for {kind}")
    if name not in ("percentile", "twn"):
        if number is not None:
            raise ValueError(f"{who}: clip={given!r} takes no number; give {name!r}")
        return name
    default, most = (_PERCENT, 100.0) if name == "percentile" else (_TWN, 2.0)
    number = default if number is None else float(as_number(who, "clip", number))
    if not 0 < number <= most:
        raise ValueError(f"{who}: clip={given!r} needs a number above 0 and up to {most:g}, such as {default}")
    return (name, number)


def read_second(who: str, form: Format, scale: str | None, second: Any) -> tuple[str, Any]:
    """The format of the scales, and the blocks in which they are quantized themselves, if they are codes."""
    if second is not None and second != "tensor":
        second = None if isinstance(second, str) else as_int(who, "second", second)
        if second is None or second < 1:
            raise ValueError(f"{who}: second must be None, 'tensor' or a number of scales such as 256")
    if scale is None:
        scale = form.scale if second is None or SCALES[form.scale] is not None else "uint8"
        second = form.second if second is None else second
    if SCALES[scale] is None:
        if second is not None:
            raise ValueError(
                f"{who}: second={second!r} quantizes the scales; scale={scale!r} must be 'uint8' or 'e4m3'"
            )
        return scale, None
    return scale, "tensor" if second is None else second
