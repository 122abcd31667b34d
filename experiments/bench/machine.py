"""The machine of a timing: processor, its relevant instructions, memory, load, versions."""

import importlib.metadata
import os
import pathlib
import platform
import re
from typing import Any

import jax

# Instruction sets that determine the speed of integer and half-precision products.
RELEVANT = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8")
PACKAGES = (
    "compressjax",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "constriction",
    "qwix",
    "scikit-learn",
    "onnxruntime",
)


def describe() -> dict[str, Any]:
    """Facts about the machine that a reader needs to reproduce a figure.

    Returns:
        A JSON-able dictionary.
    """
    return {
        "processor": _field("/proc/cpuinfo", r"model name\s*:\s*(.+)") or platform.processor() or "unknown",
        "instructions": instructions(pathlib.Path("/proc/cpuinfo")),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(int(_field("/proc/meminfo", r"MemTotal:\s*(\d+)") or 0) / 2**20, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "devices": [device.device_kind for device in jax.devices()],
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "versions": versions(),
        "load_before": load(),
    }


def versions() -> dict[str, str]:
    """Installed versions of the measured package and its dependencies, absent ones left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def instructions(path: pathlib.Path) -> list[str] | None:
    """The relevant instruction sets that the processor has.

    Args:
        path: a file in the format of Linux's `/proc/cpuinfo`.

    Returns:
        Their names, or None if the file is absent.
    """
    flags = _field(str(path), r"flags\s*:\s*(.+)")
    return None if flags is None else [name for name in RELEVANT if name in flags.split()]


def load() -> float | None:
    """The load average of the last minute, if the system provides one."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _field(path: str, pattern: str) -> str | None:
    try:
        match = re.search(pattern, pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError:
        return None
    return match[1].strip() if match else None
