"""Near duplicates: those of brute force over all pairs, and planted copies of images."""

import itertools

import numpy as np
import pytest

from compressjax import data
from compressjax.data.cleaning._near_duplicates import in_common
from tests.data import laws


def test_planted_copies_of_images_are_found(draw):
    rows = laws.digits()[:300]
    copies = np.clip(rows[::10] + draw.choice([-1, 0, 1], (30, 64), p=[0.02, 0.96, 0.02]), 0, 16).astype(np.float32)
    report = data.find_near_duplicates(np.concatenate([rows, copies]), threshold=0.8)
    found = {finding.row for finding in report.findings}
    assert len(found & set(range(300, 330))) >= 29
    assert len(found - set(range(300, 330))) <= 2


def test_nothing_above_the_threshold_is_missed(draw):
    rows = draw.integers(0, 3, (24, 12))
    rows[12:] = np.where(draw.random((12, 12)) < 0.1, 0, rows[:12])
    report = data.find_near_duplicates(rows, threshold=0.5, levels=2, bands=64, per_band=1)
    sets = [{(j, v) for j, v in enumerate(row) if v} for row in rows.tolist()]
    kept = []
    for i, own in enumerate(sets):
        if not any(len(own & sets[j]) / len(own | sets[j]) >= 0.5 for j in kept):
            kept.append(i)
    np.testing.assert_array_equal(np.flatnonzero(report.kept), kept)
    pairs = np.array(list(itertools.combinations(range(5), 2)))
    want = [len(sets[i] & sets[j]) / len(sets[i] | sets[j]) for i, j in pairs]
    np.testing.assert_allclose(in_common(rows.astype(np.uint8), pairs), want)


def test_bad_arguments_are_named():
    for given, said in [({"threshold": 0}, "threshold=0"), ({"levels": 256}, "levels=256"), ({"bands": 0}, "bands=0")]:
        with pytest.raises(ValueError, match=said):
            data.find_near_duplicates(np.ones((2, 2)), **given)
    with pytest.raises(ValueError, match="row 1, column 0 is -1.0; values must be at least 0"):
        data.find_near_duplicates(np.array([[1.0], [-1.0]]))
