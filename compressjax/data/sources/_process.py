"""The part of a source that belongs to one process of several."""

from typing import Any

import jax

from compressjax.core._settings import as_int


def process_part(x: Any, index: int | None = None, count: int | None = None) -> Any:
    """Returns the rows of one process; all parts together are all rows, and differ by one row at most.

    .. math:: X_p = (x_i : \\lfloor p n / m \\rfloor \\le i < \\lfloor (p + 1) n / m \\rfloor)

    A memory map is cut without being read. After `gathered(reducer, process_part(x))`, the states of all processes
    are merged: under `jax.distributed`, by `jax.experimental.multihost_utils.process_allgather` and `reducer.merge`.

    Args:
        x: With `len` and slices: an array, a memory map, a list of files.
        index: `p`, the process; None for `jax.process_index()`.
        count: `m`, the processes; None for `jax.process_count()`.

    Returns:
        A slice of `x`.

    Raises:
        ValueError: If the process is none of them.

    Example:
        >>> [process_part(list(range(5)), p, 2) for p in range(2)]
        [[0, 1], [2, 3, 4]]
    """
    index = jax.process_index() if index is None else as_int("process_part", "index", index)
    count = jax.process_count() if count is None else as_int("process_part", "count", count)
    if not 0 <= index < count:
        raise ValueError(f"process_part: index={index} must be in [0, {count})")
    return x[index * len(x) // count : (index + 1) * len(x) // count]
