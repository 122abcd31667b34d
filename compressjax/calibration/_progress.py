"""What `calibrate` tells while it runs, and the memory of the process or device."""

import resource
from pathlib import Path
from typing import NamedTuple

import jax

from compressjax.measure import peak_memory


class Progress(NamedTuple):
    """State of a calibration; `print` shows it as one line.

    Attributes:
        done: Finished steps; 0 before the first.
        steps: All steps.
        paths: Leaves of the step that was just finished.
        resumed: Whether they were read from the folder.
        expected: Peak memory in bytes that was expected before the start, of the whole process or device: what is in
            use then, all nodes, the activations at one cut, and four times the statistics of one leaf, for the copies
            that methods make (GPTQ on the host makes one). Compiled programs come on top.
        peak: Peak memory in bytes, measured so far; it never falls.
    """

    done: int
    steps: int
    paths: tuple[str, ...]
    resumed: bool
    expected: int
    peak: int

    def __str__(self) -> str:
        what = f"{', '.join(self.paths) or 'start'}{' (from the folder)' if self.resumed else ''}"
        sizes = f"memory: {self.expected / 1e6:.0f} MB expected at its peak, {self.peak / 1e6:.0f} MB so far"
        return f"step {self.done} of {self.steps}: {what}; {sizes}"


def in_use() -> int:
    """Bytes in use by the device, or by the process if the device is the host."""
    stats = _device()
    if stats is not None:
        return int(stats["bytes_in_use"])
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except OSError:
        return peak_memory()  # only Linux tells what is in use now


def peak() -> int:
    """The most bytes that were ever in use by the device, or by the process if the device is the host."""
    stats = _device()
    return peak_memory() if stats is None else int(stats["peak_bytes_in_use"])


def _device() -> dict[str, int] | None:
    device = jax.devices()[0]
    return None if device.platform == "cpu" else device.memory_stats()
