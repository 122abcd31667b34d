"""Reports: what goes, why, and what stays."""

import numpy as np
import pytest

from compressjax import data


def test_reports_join_and_rows_go():
    a = data.Report(4, (data.Finding(2, "duplicate", "equals row 0"),))
    b = data.Report(4, (data.Finding(1, "outlier", "column 0 is 9"), data.Finding(2, "outlier", "column 1 is 7")))
    report, (x, y) = data.clean([a, b], np.arange(8).reshape(4, 2), np.arange(4))
    assert x.tolist() == [[0, 1], [6, 7]]
    assert y.tolist() == [0, 3]
    assert str(report).splitlines() == [
        "row 1: outlier: column 0 is 9", "row 2: duplicate: equals row 0", "row 2: outlier: column 1 is 7",
        "2 of 4 rows dropped: 1 by duplicate, 2 by outlier",
    ]  # fmt: skip
    assert str(data.Report(2, ())) == "0 of 2 rows dropped: none"


def test_what_does_not_belong_together_is_named():
    with pytest.raises(ValueError, match=r"have \[2, 3\] rows"):
        data.clean(data.Report(2, ()), np.zeros(3))
    with pytest.raises(ValueError, match="no row of 1 would stay"):
        data.clean(data.Report(1, (data.Finding(0, "outlier", "far"),)), np.zeros(1))
