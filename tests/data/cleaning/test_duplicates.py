"""Equal rows against numpy.unique, over batches."""

import numpy as np
import pytest

from compressjax import data


def test_later_copies_are_found_over_batches(draw):
    rows = draw.integers(0, 3, (60, 3)).astype(np.float32)
    rows[5, 0], rows[7, 0] = np.nan, np.nan
    rows[9] = 0.0
    rows[10] = -0.0
    report = data.find_duplicates(np.split(rows, 4))
    _, first = np.unique(np.nan_to_num(rows, nan=9) + 0.0, axis=0, return_index=True)
    np.testing.assert_array_equal(np.flatnonzero(report.kept), np.sort(first))
    assert "row 10: duplicate: equals row 1" in str(report)


def test_labels_that_differ_are_told():
    rows = np.array([[1, 2], [1, 2], [1, 2]])
    report = data.find_duplicates(rows, [0, 0, 1])
    assert [f.why for f in report.findings] == ["equals row 0", "equals row 0, which is labeled 0, not 1"]
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) do not belong to 3 rows"):
        data.find_duplicates(rows, [0, 1])
