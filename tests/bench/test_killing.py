"""A calibration that is really killed goes on from its folder and ends with the same bits."""

import numpy as np
import pytest

from experiments.bench import killing


@pytest.mark.thorough
def test_a_killed_calibration_ends_with_the_same_bits(tmp_path):
    draw = np.random.default_rng()  # another moment every time: no moment may matter
    stand = killing.killed(tmp_path, 2, 32, int(draw.integers(1, 5)), float(draw.uniform(0, 0.05)))
    assert stand > 0
    whole = killing.calibrated(None, 2, 32)
    assert killing.same(killing.calibrated(tmp_path, 2, 32), whole), f"killed with {stand} steps done"
    assert killing.finished(tmp_path) == 8
    assert not killing.same(whole, {**whole, "0/up": whole["1/up"]})
