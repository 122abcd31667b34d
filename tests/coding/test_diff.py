"""Differences of two files."""

import numpy as np

from compressjax import coding
from tests.coding.samples import shared, weights


def test_rows_name_what_changed(tmp_path):
    a, b = tmp_path / "a.cjx", tmp_path / "b.cjx"
    first = {"same": weights(0, 9), "moved": np.array([2.0, -4.0]), "grown": weights(1, 3), "gone": weights(2, 4)}
    second = {"same": weights(0, 9), "moved": np.array([2.0, -3.0]), "grown": weights(1, 4), "new": shared(0)}
    coding.write(a, first)
    coding.write(b, second, extras={"program": b"x" * 50})
    rows = {row.path: row for row in coding.diff(a, b)}
    assert rows["same"].change == 0
    assert rows["moved"].change == 0.25
    assert (rows["grown"].change, rows["grown"].shapes) == (None, ((3,), (4,)))
    assert (rows["gone"].nodes, rows["gone"].file_bytes[1]) == (("array", None), 0)
    assert (rows["new"].nodes, rows["new"].file_bytes[0]) == ((None, "Masked(Codebook)"), 0)
    assert rows["(program)"].file_bytes[0] == 0
    for side, file in enumerate((a, b)):
        assert sum(row.file_bytes[side] for row in rows.values()) == file.stat().st_size


def test_a_codebook_is_compared_with_a_dense_leaf(tmp_path):
    book = {"node": "Codebook", "meta": {}, "fields": {"centroids": np.array([0.0, 2.0]), "codes": np.array([[1, 0]])}}
    coding.write(tmp_path / "a.cjx", {"w": book})
    coding.write(tmp_path / "b.cjx", {"w": np.array([[2.0, 0.0]])})
    assert coding.diff(tmp_path / "a.cjx", tmp_path / "b.cjx")[0].change == 0
