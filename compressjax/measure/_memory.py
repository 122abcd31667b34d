"""Memory: the peak of the process, and the needs of a compiled function."""

import resource
import sys
from typing import Any


def peak_memory() -> int:
    """Returns the peak resident memory of this process in bytes.

    It never falls, so measure each variant in a separate process.

    Returns:
        Number of bytes.

    Example:
        >>> peak_memory() > 0
        True
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The unit is bytes on macOS and kibibytes elsewhere.
    return peak if sys.platform == "darwin" else 1024 * peak


def temp_bytes(compiled: Any) -> int:
    """Returns the bytes of intermediate arrays of a compiled function, without arguments and results.

    Args:
        compiled: From `jax.jit(fn).lower(*args).compile()`.

    Returns:
        Number of bytes.

    Raises:
        ValueError: If the backend has no memory analysis.

    Example:
        >>> import jax
        >>> temp_bytes(jax.jit(lambda x: x + 1).lower(1.0).compile())
        0
    """
    analysis = compiled.memory_analysis()
    if analysis is None:
        raise ValueError("the backend has no memory analysis of compiled functions; compile for the CPU or a GPU")
    return int(analysis.temp_size_in_bytes)
