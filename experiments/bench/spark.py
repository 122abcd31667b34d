"""PCA of a Parquet file by Spark, also with a killed executor, and by our own reader.

    python -m experiments.bench.spark 2000000 50
    python -m experiments.bench.spark 2000000 50 'local-cluster[2,1,1024]'

Needs `pip install "compressjax[spark]"` and Java. Rows, columns and the master may be given. One Python process of an
executor is killed by SIGKILL in its first attempt at a partition; on `local-cluster`, the whole executor. Prints
seconds, bytes of statistics, and the largest differences of the components.
"""

import importlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compressjax import data
from compressjax.data.sources import _spark
from experiments.bench.machine import describe

COMPONENTS = 10
_PART = 100_000  # rows of a row group
_PARTITIONS = 8
Settings = dict[str, str]


def write(path: Path, rows: int, columns: int) -> None:
    """Writes rows of falling variance in directions that are not the axes, a row group at a time."""
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    draw = np.random.default_rng(0)
    turn = np.linalg.qr(draw.normal(size=(columns, columns)))[0].astype(np.float32)
    scales = (0.8 ** np.arange(columns)).astype(np.float32)
    names = [f"x{i}" for i in range(columns)]
    schema = arrow.schema([(name, arrow.float32()) for name in names])
    with parquet.ParquetWriter(path, schema) as file:
        for start in range(0, rows, _PART):
            x = (draw.normal(size=(min(_PART, rows - start), columns)).astype(np.float32) * scales) @ turn
            file.write_table(arrow.table({name: x[:, i] for i, name in enumerate(names)}))


def session(master: str) -> Any:
    """Spark on this machine, with executors that find this package."""
    root = str(Path(__file__).parents[2])
    os.environ.update(PYSPARK_PYTHON=sys.executable, PYTHONPATH=root, JAX_PLATFORMS="cpu", SPARK_LOCAL_IP="127.0.0.1")
    made = (
        importlib.import_module("pyspark.sql")
        .SparkSession.builder.master(master)
        .config("spark.ui.enabled", "false")
        .config("spark.executorEnv.PYTHONPATH", root)
        .config("spark.executorEnv.JAX_PLATFORMS", "cpu")
        .config("spark.task.maxFailures", "4")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "50000")
        .getOrCreate()
    )
    made.sparkContext.setLogLevel("OFF")
    return made


def killing(reducer: data.Reducer, whole: bool, marks: str) -> data.Reducer:
    """The same reducer, whose first attempt at partition 1 ends its process, or with `whole` its executor too.

    A kill leaves a file in the folder `marks`, and happens once: a lost executor makes Spark number attempts anew.
    """
    inner = reducer.update

    def update(state: Any, batch: Any) -> Any:
        task = importlib.import_module("pyspark").TaskContext.get()
        if task is not None and task.partitionId() == 1 and not os.listdir(marks):
            victim = _executor() if whole else os.getpid()
            Path(marks, str(victim)).touch()
            os.kill(victim, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(state, batch)

    return reducer._replace(update=update)


def _executor() -> int:
    """The process of the Java machine that this worker belongs to."""
    found = os.getppid()
    for _ in range(4):
        if b"java" in Path(f"/proc/{found}/cmdline").read_bytes().split(b"\0")[0]:
            return found
        found = int(Path(f"/proc/{found}/stat").read_text().rsplit(")", 1)[1].split()[1])
    raise OSError("no Java machine is above this process")


def difference(a: Any, b: Any) -> float:
    """The largest difference of the components and of the mean, as a share of the largest entry."""
    pairs = ((a.components, b.components), (a.mean, b.mean))
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max() / np.abs(np.asarray(x)).max()) for x, y in pairs)


def measured(rows: int, columns: int, master: str) -> Iterator[str]:
    """One line a run: our own reader, Spark, and Spark whose executor is killed."""
    reducer = data.pca(COMPONENTS)
    size = len(_spark.packed(reducer.init(columns)))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as marks:
        path = Path(folder, "rows.parquet")
        write(path, rows, columns)
        own, spent = _timed(lambda: data.fit(reducer, data.parquet_batches(path)))
        yield f"{rows} rows of {columns} columns, {path.stat().st_size / 1e6:.0f} MB"
        yield f"our own reader: {spent:.1f} s"
        spark = session(master)
        try:
            frame = spark.read.parquet(str(path)).repartition(_PARTITIONS)
            runs = {
                "Spark": reducer,
                "Spark, one executor killed": killing(reducer, master.startswith("local-cluster"), marks),
            }
            for name, one in runs.items():
                found, spent = _timed(lambda one=one: data.fit_spark(one, frame))
                yield (f"{name}, {master}: {spent:.1f} s, {len(os.listdir(marks))} processes killed, {_PARTITIONS} "
                       f"states of {size / 1e3:.1f} kB; differs by {difference(own, found):.1e}")  # fmt: skip
        finally:
            spark.stop()


def _timed(fn: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return fn(), time.perf_counter() - start


if __name__ == "__main__":
    _rows, _columns, _master = [*sys.argv[1:], *("2000000", "50", "local[2, 4]")[len(sys.argv) - 1 :]][:3]
    for line in measured(int(_rows), int(_columns), _master):
        print(line, flush=True)
    print(describe())
