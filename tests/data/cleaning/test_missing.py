"""Rows that lack too much."""

import numpy as np
import pytest

from compressjax import data


def test_rows_are_counted_over_batches():
    rows = np.array([[1, 2, 3], [np.nan, 2, np.nan], [1, 2, np.nan]], np.float32)
    report = data.find_missing([rows[:2], rows[2:]], share=0.5)
    assert report.findings == (data.Finding(1, "missing", "2 of 3 values, the first in column 0"),)
    assert [f.row for f in data.find_missing(rows).findings] == [1, 2]
    assert data.find_missing(np.ones((2, 2), int)).findings == ()
    with pytest.raises(ValueError, match="share=1"):
        data.find_missing(rows, share=1)
