"""Spark: states survive the wire; partitions, labels, passes and a repeated task give what one machine gives."""

import importlib
import os
import shutil
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from compressjax.data.sources import _spark
from tests.data import laws
from tests.style.source import ROOT

ROWS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
LABELS = np.arange(40) % 2


def test_states_survive_the_wire():
    reducer = data.pca(2)
    state = data.gathered(reducer, ROWS)
    laws.assert_close(_spark.unpacked(reducer, 3, _spark.packed(state)), state, 0.0)
    merge = _spark._merger(reducer, 3)
    halves = [_spark.packed(data.gathered(reducer, part)) for part in (ROWS[:25], ROWS[25:])]
    laws.assert_close(_spark.unpacked(reducer, 3, merge(*halves)), state)
    assert merge(b"", halves[0]) == merge(halves[0], b"") == halves[0]


@pytest.fixture(scope="module")
def spark():
    pyspark = pytest.importorskip("pyspark", reason="compressjax[spark] is not installed")
    pytest.importorskip("pandas", reason="compressjax[spark] is not installed")
    if shutil.which("java") is None:
        pytest.skip("there is no Java")
    kept = dict(os.environ)
    os.environ.update(
        PYTHONPATH=str(ROOT), PYSPARK_PYTHON=sys.executable, JAX_PLATFORMS="cpu", SPARK_LOCAL_IP="127.0.0.1"
    )
    builder = pyspark.sql.SparkSession.builder.master("local[2, 3]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "20").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()
    os.environ.clear()
    os.environ.update(kept)


def frame(spark):
    columns = {**{f"x{i}": ROWS[:, i].astype(float).tolist() for i in range(3)}, "kind": LABELS.tolist()}
    return spark.createDataFrame(list(zip(*columns.values())), list(columns)).repartition(3)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")  # Java's process and sockets are pyspark's
def test_partitions_give_what_one_machine_gives(spark, tmp_path):
    table, names = frame(spark), ["x0", "x1", "x2"]
    laws.assert_close(data.fit_spark(data.pca(2), table, names), data.fit(data.pca(2), ROWS))
    table.repartition(2).write.parquet(str(tmp_path / "rows"))
    files = sorted((tmp_path / "rows").glob("*.parquet"))
    ours = data.fit(data.pca(2), data.parquet_batches(files, names))
    laws.assert_close(data.fit_spark(data.pca(2), spark.read.parquet(str(tmp_path / "rows")), names), ours)
    anova = data.fit_spark(data.select_anova(1, 2), table, labels="kind")
    laws.assert_close(anova, data.fit(data.select_anova(1, 2), (ROWS, LABELS)), 1e-4)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_a_repeated_task_changes_nothing_and_passes_are_jobs(spark):
    def update(state, x):
        context = importlib.import_module("pyspark").TaskContext.get()
        if context is not None and context.partitionId() == 1 and context.attemptNumber() == 0:
            raise RuntimeError("the executor is lost")
        return state[0] + jnp.sum(x, axis=0), state[1]

    def again(state):
        return (state[0] / 2, state[1] + 1), state[1] < 1

    reducer = data.Reducer(
        lambda n: (jnp.zeros(n), jnp.zeros((), jnp.int32)), update, lambda a, b: (a[0] + b[0], a[1]),
        lambda state: state, "sums", again=again,
    )  # fmt: skip
    total, passes = data.fit_spark(reducer, frame(spark).coalesce(2), ["x0", "x1", "x2"])
    # Both partitions start the second pass from the halved sum of the first.
    np.testing.assert_allclose(total, (2 * ROWS.sum(0) / 2 + ROWS.sum(0)) / 2, rtol=1e-4)
    assert int(passes) == 2


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_mistakes_are_named(spark):
    table = frame(spark)
    with pytest.raises(ValueError, match="there is no column 'x9'"):
        data.fit_spark(data.pca(1), table, ["x9"])
    with pytest.raises(ValueError, match="reads labels; labels=None"):
        data.fit_spark(data.select_anova(1, 2), table)
    with pytest.raises(ValueError, match="the frame has no rows"):
        data.fit_spark(data.pca(1), table.limit(0), ["x0"])
