"""`fit`: drives a reducer over a source of batches."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from compressjax.data._reducer import Reducer
from compressjax.data.sources._batches import rows_of


def fit(reducer: Reducer, source: Any, *, progress: Callable[[int], Any] | None = None) -> Any:
    """Learns from a source, one batch at a time, in flat memory.

    .. math:: T = finalize(update(\\dots update(init, X_1) \\dots, X_b))

    Args:
        reducer: From this package, or any other `Reducer`.
        source: An array `[n, features]` (NumPy, memory-mapped or JAX), or an iterable of such batches, which may be
            sharded over devices.
        progress: Called with the number of rows after every batch.

    Returns:
        What the reducer has learned; a pytree with `transform`.

    Raises:
        ValueError: If there are no rows, a batch is no matrix of numbers, batches differ in features, or a value is not
            finite: its row and column are named.

    Example:
        >>> from compressjax.data import pca
        >>> rows = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
        >>> fitted = fit(pca(1), [rows[:2], rows[2:]])
        >>> fitted.explained_variance_ratio.round(4).tolist()
        [1.0]
    """
    return reducer.finalize(gathered(reducer, source, progress))


def gathered(reducer: Reducer, source: Any, progress: Callable[[int], Any] | None = None) -> Any:
    """Returns the state of a reducer after all batches of a source, to be merged with that of other hosts.

    .. math:: s = update(\\dots update(init, X_1) \\dots, X_b)

    Args:
        reducer: As for `fit`.
        source: As for `fit`, the part of one host.
        progress: As for `fit`.

    Returns:
        The state, for `reducer.merge` and `reducer.finalize`.

    Raises:
        ValueError: As `fit`.

    Example:
        >>> from compressjax.data import standard_scaler
        >>> reducer = standard_scaler()
        >>> parts = [gathered(reducer, np.array([[x]])) for x in (1.0, 3.0)]
        >>> reducer.finalize(reducer.merge(*parts)).shift.tolist()
        [2.0]
    """
    update, state, seen, features = jax.jit(reducer.update), None, 0, 0
    for batch in batches_of(source):
        x = rows_of(reducer.name, batch, seen)
        if state is None:
            features, state = x.shape[1], reducer.init(x.shape[1])
        if x.shape[1] != features:
            raise ValueError(f"{reducer.name}: row {seen} has {x.shape[1]} features, the rows before {features}")
        state = update(state, x)
        seen += len(x)
        if progress is not None:
            progress(seen)
    if state is None:
        raise ValueError(f"{reducer.name}: the source has no rows")
    return state


def batches_of(source: Any, size: int = 8192) -> Iterable[Any]:
    """The batches of a source; an array is cut into parts of at most `size` rows."""
    if isinstance(source, np.ndarray | jax.Array) and source.ndim == 2:
        return (source[start : start + size] for start in range(0, len(source), size))
    if isinstance(source, np.ndarray | jax.Array | str | bytes) or not isinstance(source, Iterable):
        shape = getattr(source, "shape", None)
        raise ValueError(f"a source is an array [n, features] or an iterable of batches, not {type(source).__name__}"
                         + (f" of shape {shape}" if shape is not None else ""))  # fmt: skip
    return source
