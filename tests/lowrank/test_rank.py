"""Ranks by hand."""

import numpy as np
import pytest

from compressjax.lowrank._rank import affordable, known, pays, rank_by_energy, rank_by_threshold, split, unpaid


def test_pays_by_hand():
    # 784 * 300 / 1084 = 216.97
    assert pays((784, 300), 216)
    assert not pays((784, 300), 217)
    assert not pays((2, 2), 1)
    # 8 * 8 / 16 = 4: equal counts do not pay.
    assert pays((8, 8), 3)
    assert not pays((8, 8), 4)


def test_axes():
    assert split((3, 3, 16, 32)) == (3, 144, 32)
    assert split((64, 8, 16), inputs=1) == (1, 64, 128)
    assert split((6, 64, 128), batch=1) == (1, 64, 128)
    for bad in ({"shape": (5,)}, {"shape": (4, 4), "inputs": 2}, {"shape": (4, 4), "batch": 1}):
        with pytest.raises(ValueError, match="both sides need an axis"):
            split(**bad)


@pytest.mark.parametrize("budget", [0.01, 0.2, 0.5, 1.0])
def test_the_affordable_rank_is_the_largest(budget):
    rows, columns = 60, 25
    rank = affordable((rows, columns), budget)
    assert rank == 1 or rank * (rows + columns) <= budget * rows * columns
    assert (rank + 1) * (rows + columns) > budget * rows * columns or rank == columns


def test_rank_by_energy():
    singular = np.array([3.0, 2.0, 1.0])  # squares 9, 4, 1 of 14
    assert [rank_by_energy(singular, e) for e in (0.5, 9 / 14 + 1e-9, 13 / 14, 0.95, 1.0)] == [1, 2, 2, 3, 3]
    assert rank_by_energy(np.stack([singular, np.array([5.0, 0.0, 0.0])]), 0.95) == 3
    assert rank_by_energy(np.zeros(3), 0.9) == 1


def test_the_hard_threshold_finds_a_planted_rank(draw):
    """Noise of 0.1 has singular values up to 0.1 (sqrt 30 + sqrt 50) = 1.25; the signal's are several times that."""
    noisy = 3 * draw.normal(size=(30, 4)) @ draw.normal(size=(4, 50)) + 0.1 * draw.normal(size=(30, 50))
    assert rank_by_threshold(np.linalg.svd(noisy, compute_uv=False), (30, 50)) == 4
    assert rank_by_threshold(np.zeros(3), (3, 5)) == 0
    exact = np.linalg.svd(draw.normal(size=(20, 2)) @ draw.normal(size=(2, 20)), compute_uv=False)
    assert rank_by_threshold(exact, (20, 20)) == 2


def test_messages_name_setting_and_remedy():
    assert unpaid("svd", "rank=3", (8, 8), 3, 1, 0) == ""
    assert "svd(rank=4) would not make it smaller" in unpaid("svd", "rank=4", (8, 8), 4, 1, 0)
    assert known("svd", "rank=1", "k", np.ones(2, np.float32)).dtype == np.float64
