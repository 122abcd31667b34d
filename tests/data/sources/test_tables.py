"""Tables on disk: the same rows as in memory, and what is wrong is named by file, row and column."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from compressjax import data
from tests.data import laws

ROWS = np.round(np.random.default_rng(0).normal(size=(20, 2)), 3).astype(np.float32)
KINDS = np.arange(20) % 2
TABLE = pyarrow.table({"a": ROWS[:, 0], "kind": KINDS, "b": ROWS[:, 1].astype(np.float64), "name": ["x"] * 20})


def source(kind, path, **given):
    if kind == "csv":
        lines = ["a,kind,b,name", *(f"{a},{k},{b},x" for (a, b), k in zip(ROWS.tolist(), KINDS))]
        (path / "rows.csv").write_text("\n".join(lines))
        return data.csv_batches(path / "rows.csv", ["a", "b"], **given)
    if kind == "parquet":
        for i in range(2):
            pyarrow.parquet.write_table(TABLE.slice(10 * i, 10), path / f"{i}.parquet", row_group_size=4)
        return data.parquet_batches([path / "0.parquet", path / "1.parquet"], ["a", "b"], **given)
    if kind == "arrow":
        with pyarrow.ipc.new_file(path / "rows.arrow", TABLE.schema) as file:
            file.write_table(TABLE)
        return data.arrow_batches(path / "rows.arrow", ["a", "b"], **given)
    return data.arrow_batches(TABLE, ["a", "b"], **given)


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "table"])
def test_rows_and_labels_are_those_of_the_table(kind, tmp_path):
    batches = source(kind, tmp_path, labels="kind", size=7)
    for _ in range(2):  # it can be read again
        parts = list(batches)
        assert max(len(x) for x, _ in parts) <= 7
        np.testing.assert_allclose(np.concatenate([x for x, _ in parts]), ROWS, rtol=1e-6)
        np.testing.assert_array_equal(np.concatenate([y for _, y in parts]), KINDS)
    if kind == "parquet":
        laws.assert_close(
            data.fit(data.select_anova(1, 2), batches), data.fit(data.select_anova(1, 2), (ROWS, KINDS)), 1e-4
        )
        assert repr(batches).startswith("Batches(parquet ")


def test_nulls_are_missing(tmp_path):
    (tmp_path / "a.csv").write_text("1,NA\n,2\n")
    x = next(iter(data.csv_batches(tmp_path / "a.csv", names=["a", "b"])))
    np.testing.assert_array_equal(x, [[1, np.nan], [np.nan, 2]])
    table = pyarrow.table({"a": pyarrow.array([1, None]), "b": pyarrow.array([True, False])})
    np.testing.assert_array_equal(next(iter(data.arrow_batches(table))), [[1, 1], [np.nan, 0]])


def test_text_among_numbers_is_named_by_row_and_column(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1,2\n" * 5 + "1,two\n")
    with pytest.raises(ValueError, match=r"rows.csv: row 5, column 'b' is 'two', no number"):
        data.fit(data.standard_scaler(), data.csv_batches(path, size=2))
    path.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(ValueError, match=r"rows.csv cannot be read as CSV: .*Expected 2 columns"):
        list(data.csv_batches(path))
    with pytest.raises(ValueError, match="column 'name' holds string, no numbers"):
        list(data.arrow_batches(TABLE))
    with pytest.raises(ValueError, match="there is no column 'c'; it has"):
        list(data.arrow_batches(TABLE, ["c"]))
    with pytest.raises(ValueError, match="size=0"):
        data.arrow_batches(TABLE, size=0)


def test_an_unreadable_group_of_rows_is_named_and_nothing_is_kept(tmp_path):
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(
        TABLE.select(["a", "b"]), path, row_group_size=5, compression="zstd", use_dictionary=False
    )
    group = pyarrow.parquet.ParquetFile(path).metadata.row_group(2).column(0)
    damaged = bytearray(path.read_bytes())
    first = group.data_page_offset
    damaged[first : first + group.total_compressed_size] = b"\xff" * group.total_compressed_size
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"rows.parquet: row group 2 \(rows 10 to 14\) cannot be read"):
        data.fit(data.standard_scaler(), data.parquet_batches(path), checkpoint=tmp_path / "state", every=10)
    assert [file.name for file in tmp_path.iterdir()] == ["rows.parquet"]
    path.write_bytes(b"none")
    with pytest.raises(ValueError, match="rows.parquet cannot be read"):
        list(data.parquet_batches(path))
    with pytest.raises(ValueError, match="no file"):
        data.parquet_batches([])
