"""The part of a source that belongs to one process of several, and the merged states of all."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import multihost_utils

from compressjax.core._settings import as_int
from compressjax.data._fit import merge_stacked
from compressjax.data._reducer import Reducer


def process_part(x: Any, index: int | None = None, count: int | None = None) -> Any:
    """Returns the rows of one process; all parts together are all rows, and differ by one row at most.

    .. math:: X_p = (x_i : \\lfloor p n / m \\rfloor \\le i < \\lfloor (p + 1) n / m \\rfloor)

    A memory map is cut without being read. `merge_processes(reducer, gathered(reducer, process_part(x)))` is the state
    of all rows.

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


def merge_processes(reducer: Reducer, state: Any) -> Any:
    """Merges the states of all processes of `jax.distributed`; all must call it.

    .. math:: s = merge(s_1, \\dots, s_m)

    Args:
        reducer: What made the state.
        state: That of this process, from `gathered`.

    Returns:
        The merged state, the same in all processes, for `reducer.again` or `reducer.finalize`.

    Example:
        >>> from compressjax.data import gathered, standard_scaler
        >>> import numpy as np
        >>> reducer, x = standard_scaler(), np.array([[1.0], [3.0]])
        >>> reducer.finalize(merge_processes(reducer, gathered(reducer, process_part(x)))).shift.tolist()
        [2.0]
    """
    if jax.process_count() == 1:
        return state
    return merge_stacked(reducer, jax.tree.map(jnp.asarray, multihost_utils.process_allgather(state)))
