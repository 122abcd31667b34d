"""The file that Spark and our reader share, and what counts as a difference."""

import numpy as np
import pytest

from compressjax import data
from experiments.bench import spark


def test_the_file_has_the_rows_and_the_variances(tmp_path):
    pytest.importorskip("pyarrow", reason="compressjax[data] is not installed")
    path = tmp_path / "rows.parquet"
    spark.write(path, 4000, 12)
    found = data.fit(data.pca(spark.COMPONENTS), data.parquet_batches(path))
    deviations = np.sqrt(np.asarray(found.explained_variance))
    np.testing.assert_allclose(deviations, 0.8 ** np.arange(spark.COMPONENTS), rtol=0.1)
    assert spark.difference(found, found) == 0
    moved = found._replace(components=found.components + 0.1)
    largest = np.abs(np.asarray(found.components)).max()
    assert spark.difference(found, moved) == pytest.approx(0.1 / largest, rel=1e-4)


def test_only_the_first_attempt_in_spark_is_killed(tmp_path):
    reducer = spark.killing(data.pca(2), False, str(tmp_path))
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    pytest.importorskip("pyspark", reason="compressjax[spark] is not installed")
    assert data.fit(reducer, x).mean.tolist() == [4.5, 5.5, 6.5]
    assert not list(tmp_path.iterdir())
