"""`fit`: drives a reducer over a source of batches."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from compressjax.data._checkpoint import Checkpoint
from compressjax.data._reducer import Reducer
from compressjax.data.sources._batches import batch_of
from compressjax.numerics._host import on_host


def fit(
    reducer: Reducer, source: Any, *, progress: Callable[[int], Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None, every: int = 64,
) -> Any:  # fmt: skip
    """Learns from a source, one batch at a time, in flat memory.

    .. math:: T = finalize(update(\\dots update(init, X_1) \\dots, X_b))

    An iterative reducer reads the source several times.

    Args:
        reducer: From this package, or any other `Reducer`.
        source: An array `[n, features]` (NumPy, memory-mapped, JAX, or sparse of SciPy), or an iterable of such
            batches, which may be sharded over devices. Where the reducer needs labels, a pair `(rows, labels)`, or an
            iterable of pairs.
        progress: Called with the number of rows after every batch, anew in every pass.
        checkpoint: File for the state, replaced every so many batches and removed at the end. A call that finds it
            goes on behind its rows, and gives what a run without interruption would.
        every: Batches between two checkpoints, at least 1.

    Returns:
        What the reducer has learned; a pytree with `transform`.

    Raises:
        ValueError: If there are no rows, a batch is no matrix of numbers, batches differ in features, or a value is not
            finite or not what the reducer reads: its row and column are named; if an iterative reducer gets a source
            that can be read once; if the checkpoint is of another reducer or another source.

    Example:
        >>> from compressjax.data import pca
        >>> rows = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
        >>> fitted = fit(pca(1), [rows[:2], rows[2:]])
        >>> fitted.explained_variance_ratio.round(4).tolist()
        [1.0]
    """
    if reducer.again is not None and isinstance(source, Iterator):
        raise ValueError(
            f"{reducer.name}: it reads its source several times, and a {type(source).__name__} can be read once; "
            "pass an array, a list of batches, or an object whose __iter__ starts anew"
        )
    kept = None if checkpoint is None else Checkpoint(checkpoint, reducer, every)
    state, turn = (None, 0) if kept is None else (kept.state(), kept.turn)
    again, more = None if reducer.again is None else jax.jit(reducer.again), True
    while more:
        state, more = _pass(reducer, source, progress, state, kept, turn), False
        if again is not None:
            state, unfinished = again(state)
            more, turn = bool(unfinished), turn + 1
        if kept is not None:
            kept.next_pass()
    fitted = reducer.finalize(state)
    if kept is not None:
        kept.remove()
    return fitted


def gathered(reducer: Reducer, source: Any, progress: Callable[[int], Any] | None = None, start: Any = None) -> Any:
    """Returns the state of a reducer after all batches of a source, to be merged with that of other hosts.

    .. math:: s = update(\\dots update(init, X_1) \\dots, X_b)

    Args:
        reducer: As for `fit`.
        source: As for `fit`, the part of one host.
        progress: As for `fit`.
        start: The state before the pass, from `reducer.again`; None for the first.

    Returns:
        The state, for `reducer.merge`, then `reducer.again` or `reducer.finalize`.

    Raises:
        ValueError: As `fit`.

    Example:
        >>> from compressjax.data import standard_scaler
        >>> reducer = standard_scaler()
        >>> parts = [gathered(reducer, np.array([[x]])) for x in (1.0, 3.0)]
        >>> reducer.finalize(reducer.merge(*parts)).shift.tolist()
        [2.0]
    """
    return _pass(reducer, source, progress, start, None, 0)


def _pass(
    reducer: Reducer, source: Any, progress: Callable[[int], Any] | None, start: Any, kept: Checkpoint | None, turn: int
) -> Any:  # fmt: skip
    """The state after a pass over a source, or after the part of it that a checkpoint does not hold."""
    update, state, seen, features = jax.jit(reducer.update), start, 0, 0
    labeled = reducer.reads.labels is not None
    stays = reducer.eager and jax.default_backend() == "cpu"
    for batch in batches_of(source, labeled=labeled):
        if kept is not None and kept.rows > seen:
            rows = np.shape(batch[0] if labeled else batch)[0]
            if kept.passed(batch, seen, rows):
                seen, features = seen + rows, kept.features
                continue
        read = batch_of(reducer.name, batch, seen, reducer.reads, stays)
        x = read[0] if labeled else read
        if not features:
            features = x.shape[1]
            state = reducer.init(features) if state is None else state
        if x.shape[1] != features:
            raise ValueError(f"{reducer.name}: row {seen} has {x.shape[1]} features, the rows before {features}")
        direct = stays and on_host(x) is not None
        state = (reducer.update if direct else update)(state, read)
        seen += x.shape[0]
        if kept is not None:
            kept.done(batch, state, turn, seen, features)
        if progress is not None:
            progress(seen)
    if not features:
        raise ValueError(f"{reducer.name}: the source has no rows")
    if kept is not None and kept.rows > seen:
        raise ValueError(f"{kept.path} is a checkpoint over another source, of at least {kept.rows} rows; this one has "
                         f"{seen}")  # fmt: skip
    return state


def all_merged(reducer: Reducer, state: Any, axis_name: str) -> Any:
    """Merges the states of all devices along a named axis, inside `shard_map` or `pmap`.

    .. math:: s = merge(s_1, \\dots, s_m)

    Args:
        reducer: As for `fit`.
        state: That of one device.
        axis_name: Of the mesh.

    Returns:
        The merged state, the same on all devices.

    Example:
        >>> from compressjax.data import standard_scaler
        >>> import jax.numpy as jnp
        >>> reducer = standard_scaler()
        >>> def mean(x):
        ...     state = reducer.update(reducer.init(1), x)
        ...     return reducer.finalize(all_merged(reducer, state, "data")).shift
        >>> jax.vmap(mean, axis_name="data")(jnp.array([[[1.0]], [[3.0]]])).tolist()
        [[2.0], [2.0]]
    """
    return merge_stacked(reducer, jax.lax.all_gather(state, axis_name))


def merge_stacked(reducer: Reducer, every: Any) -> Any:
    """Merges states that are stacked along the first axis of their arrays, in order."""
    parts = [jax.tree.map(lambda x, i=i: x[i], every) for i in range(jax.tree.leaves(every)[0].shape[0])]
    return functools.reduce(reducer.merge, parts)


def batches_of(source: Any, size: int = 8192, labeled: bool = False) -> Iterable[Any]:
    """The batches of a source; an array, or an array with its labels, is cut into parts of at most `size` rows."""
    if labeled and isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], tuple):
        x, y = (part if _is_array(part) or hasattr(part, "tocsr") else np.asarray(part) for part in source)
        if x.ndim == 2:
            rows = x.shape[0]
            if y.shape != x.shape[:1]:
                raise ValueError(f"labels of shape {y.shape} do not belong to {rows} rows; give one for every row")
            x = x.tocsr() if hasattr(x, "tocsr") else x
            return ((x[start : start + size], y[start : start + size]) for start in range(0, rows, size))
    if hasattr(source, "tocsr") and not labeled:
        source = source.tocsr()
        return (source[start : start + size] for start in range(0, source.shape[0], size))
    if _is_array(source) and source.ndim == 2 and not labeled:
        return (source[start : start + size] for start in range(0, len(source), size))
    if _is_array(source) or isinstance(source, str | bytes) or not isinstance(source, Iterable):
        shape = getattr(source, "shape", None)
        what = "a pair of rows [n, features] and labels [n], or an iterable of such pairs" if labeled else (
            "an array [n, features] or an iterable of batches")  # fmt: skip
        raise ValueError(f"a source is {what}, not {type(source).__name__}"
                         + (f" of shape {shape}" if shape is not None else ""))  # fmt: skip
    return source


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | jax.Array)
