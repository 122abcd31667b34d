"""Reducers on Apache Spark: every partition gathers its statistics, and a tree merges them."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from compressjax.data._fit import gathered
from compressjax.data._reducer import Reducer
from compressjax.data.sources._optional import optional
from compressjax.data.sources._tables import Batches, arrays_of


def fit_spark(
    reducer: Reducer, frame: Any, columns: Sequence[str] | None = None, *, labels: str | None = None, depth: int = 2
) -> Any:  # fmt: skip
    """Learns from a data frame of Spark; only statistics move, never rows.

    .. math:: T = finalize(merge(s_1, \\dots, s_p)), \\quad s_i = update(\\dots update(init, X_{i1}) \\dots)

    with `mapInArrow` for the partitions and a tree of merges on the executors. A task that Spark repeats gives the
    same statistics, so a lost executor changes nothing. Iterative reducers run a job for every pass. Executors need
    this package; they run JAX on their CPUs where `JAX_PLATFORMS=cpu` is set for them.

    Args:
        reducer: From this package, or any other `Reducer` that can be pickled.
        frame: `pyspark.sql.DataFrame`, on any master.
        columns: Names of the features; None for all columns but the labels.
        labels: Name of the column of labels, where the reducer reads them.
        depth: Levels of the tree of merges, at least 1.

    Returns:
        What the reducer has learned, as from `fit`.

    Raises:
        ValueError: If a column is absent, or the frame has no rows; bad values fail the job with the row and column
            in their partition.
        ImportError: If pyspark is not installed (`compressjax[spark]`).

    Example:
        >>> def scale(frame):  # frame = spark.read.parquet("rows.parquet")
        ...     from compressjax.data import standard_scaler
        ...
        ...     return fit_spark(standard_scaler(), frame)

    Source: Zaharia et al., NSDI 2012; trees of merges, Spark's treeAggregate.
    """
    names = [name for name in frame.columns if name != labels] if columns is None else list(columns)
    wanted = names if labels is None else [*names, labels]
    if absent := [name for name in wanted if name not in frame.columns]:
        raise ValueError(f"fit_spark: there is no column {absent[0]!r}; the frame has {frame.columns[:12]}")
    if (reducer.reads.labels is None) != (labels is None):
        raise ValueError(f"fit_spark: {reducer.name} reads {'labels' if labels is None else 'no labels'}; "
                         f"labels={labels!r}")  # fmt: skip
    parts = frame.select(*wanted)
    work = reducer._replace(finalize=None)  # type: ignore[arg-type]  # stays on the driver
    state, more = None, True
    while more:
        start = None if state is None else packed(state)
        found = parts.mapInArrow(_gatherer(work, len(names), wanted, labels, start), "state binary")
        merge = _merger(work, len(names))
        blob = found.rdd.map(lambda row: bytes(row.state)).treeAggregate(b"", merge, merge, depth)
        if not blob:
            raise ValueError(f"{reducer.name}: the frame has no rows")
        state = unpacked(reducer, len(names), blob)
        more = False
        if reducer.again is not None:
            state, unfinished = jax.jit(reducer.again)(state)
            more = bool(unfinished)
    return reducer.finalize(state)


def packed(state: Any) -> bytes:
    """The arrays of a state as bytes."""
    file = io.BytesIO()
    np.savez(file, **{f"leaf{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(state))})  # type: ignore[arg-type]
    return file.getvalue()


def unpacked(reducer: Reducer, features: int, blob: bytes) -> Any:
    """Inverse of `packed`, for a reducer of so many features."""
    empty, structure = jax.tree.flatten(jax.eval_shape(lambda: reducer.init(features)))
    with np.load(io.BytesIO(blob), allow_pickle=False) as file:
        leaves = [jax.numpy.asarray(file[f"leaf{i}"]) for i in range(len(empty))]
    return jax.tree.unflatten(structure, leaves)


def _gatherer(
    reducer: Reducer, features: int, wanted: list[str], labels: str | None, start: bytes | None
) -> Callable[[Iterator[Any]], Iterator[Any]]:  # fmt: skip
    """What runs on a partition: record batches in, one state out."""

    def gather(batches: Iterator[Any]) -> Iterator[Any]:
        arrow = optional("pyarrow", "data")
        first = next(batches, None)
        while first is not None and not first.num_rows:
            first = next(batches, None)
        if first is None:
            return
        where = f"partition {optional('pyspark', 'spark').TaskContext.get().partitionId()}"

        def read() -> Iterator[Any]:
            yield arrays_of(where, first, wanted, labels)
            for batch in batches:
                if batch.num_rows:
                    yield arrays_of(where, batch, wanted, labels)

        before = None if start is None else unpacked(reducer, features, start)
        named = reducer._replace(name=f"{reducer.name}, {where}")
        state = gathered(named, Batches(where, read), start=before)
        yield arrow.RecordBatch.from_arrays([arrow.array([packed(state)], arrow.binary())], names=["state"])

    return gather


def _merger(reducer: Reducer, features: int) -> Callable[[bytes, bytes], bytes]:
    """Merges two states, on an executor; no bytes are the state of no partition."""

    def merge(a: bytes, b: bytes) -> bytes:
        if not a or not b:
            return a or b
        joined = jax.jit(reducer.merge)
        return packed(joined(unpacked(reducer, features, a), unpacked(reducer, features, b)))

    return merge
