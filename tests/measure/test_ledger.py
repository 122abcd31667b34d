"""Ledgers against bits counted by hand and against files."""

import numpy as np
import pytest

from compressjax import artifact, measure, tensors
from compressjax.measure._ledger import totals
from tests.helpers import array

MASK = np.arange(24).reshape(4, 6) % 3 == 0
TREE = {
    "a": tensors.Masked(tensors.Codebook(array(0, (5,)), np.full((4, 6), 2, np.uint8)), MASK),
    "b": array(1, (3,), "bfloat16"),
    "c": tensors.LowRank(
        tensors.Quantized(np.ones((8, 2), np.int8), np.ones((1, 1), np.float32), bits=4), array(2, (2, 4))
    ),
    "n": np.int32(7),
}


def test_rows_by_hand():
    rows = {row.path: row for row in measure.ledger(TREE)}
    # 24 bits of mask, 8 codes of 3 bits, 5 centroids of 32 bits.
    assert rows["a"] == ("a", "Masked(Codebook)", (4, 6), 24, (24 + 24 + 160) / 24, 96, 26, None)
    assert rows["b"] == ("b", "dense", (3,), 3, 16.0, 12, 6, None)
    # 16 codes of 4 bits, one scale, 8 floats.
    assert rows["c"] == ("c", "LowRank(Quantized)", (8, 4), 32, (64 + 32 + 256) / 32, 128, 44, None)
    assert rows["n"] == ("n", "dense", (), 1, 32.0, 4, 4, None)


def test_totals_by_hand():
    total = totals(measure.ledger(TREE))
    assert total == ("total", "", None, 60, (208 + 48 + 352 + 32) / 60, 240, 80, None)


def test_rows_add_up_to_the_file(tmp_path):
    manifest = artifact.save(tmp_path / "model.cjx", TREE)
    for given in (manifest, manifest.ledger):
        rows = measure.ledger(TREE, given)
        assert totals(rows).file_bytes == (tmp_path / "model.cjx").stat().st_size
        assert {row.path for row in rows if row.method == "overhead"} >= {"(header)", "(manifest)"}
        assert all(row.bits_per_weight == 8 * row.file_bytes / row.entries for row in rows if row.entries)
        for row, stored in zip(rows, manifest.ledger.leaves, strict=False):
            assert (row.path, row.shape, row.packed_bytes) == (stored.path, stored.shape, stored.packed_bytes)


def test_totals_count_overhead(tmp_path):
    manifest = artifact.save(tmp_path / "model.cjx", TREE)
    total = totals(measure.ledger(TREE, manifest))
    assert total.bits_per_weight == 8 * manifest.ledger.file_bytes / 60
    assert total.bits_per_weight > 8 * sum(row.file_bytes for row in manifest.ledger.leaves) / 60


def test_another_tree_is_refused(tmp_path):
    manifest = artifact.save(tmp_path / "model.cjx", TREE)
    with pytest.raises(ValueError, match=r"differ at \['b', 'x'\]; give the tree that was saved"):
        measure.ledger({"x" if path == "b" else path: leaf for path, leaf in TREE.items()}, manifest)
