"""Ranks by hand."""

import numpy as np
import pytest

from compressjax.lowrank._rank import affordable, pays, rank_by_energy, split


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
    assert [rank_by_energy(singular, e, "k") for e in (0.5, 9 / 14 + 1e-9, 13 / 14, 0.95, 1.0)] == [1, 2, 2, 3, 3]
    assert rank_by_energy(np.stack([singular, np.array([5.0, 0.0, 0.0])]), 0.95, "k") == 3
    assert rank_by_energy(np.zeros(3), 0.9, "k") == 1
