"""Which integer instructions the processor has, and whether the compiler uses them."""

import functools
import importlib.metadata
import pathlib
import re

# Instruction sets that multiply int8 numbers and sum in int32.
INT8 = ("avx_vnni", "avx512_vnni", "amx_int8")
COMPILER = (0, 12)  # the first jaxlib whose products and convolutions on CPUs use them


@functools.cache
def int8_instructions(path: str = "/proc/cpuinfo") -> tuple[str, ...]:
    """The int8 instruction sets of the processor, read from a file in the format of Linux; empty where it is absent."""
    try:
        match = re.search(r"^flags\s*:\s*(.+)$", pathlib.Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return ()
    return tuple(name for name in INT8 if match and name in match[1].split())


@functools.cache
def compiles_int8(version: str | None = None) -> bool:
    """Whether a jaxlib, or the one that runs, has fast int8 kernels for CPUs that have the instructions."""
    version = version or importlib.metadata.version("jaxlib")
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= COMPILER
