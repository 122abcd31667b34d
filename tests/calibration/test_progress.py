"""One line says what is done and what it took."""

import numpy as np

from compressjax.calibration import Progress
from compressjax.calibration._progress import in_use, peak


def test_it_prints_as_one_line():
    assert str(Progress(0, 4, (), False, 2_000_000, 1_000_000)) == (
        "step 0 of 4: start; memory: 2 MB expected at its peak, 1 MB so far"
    )
    assert "q, k (from the folder);" in str(Progress(1, 4, ("q", "k"), True, 1, 1))


def test_memory_of_the_process():
    before = in_use()
    held = np.ones(2**24)
    assert in_use() - before > held.nbytes / 2
    assert peak() >= in_use() - 2**20
