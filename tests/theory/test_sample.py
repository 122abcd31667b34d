"""What bounds read."""

import math

import numpy as np
import pytest

from compressjax.theory._sample import sample


def test_units():
    found = sample("it", np.int64(5), 20, 3, 0.5)
    assert found.rate == 0.25
    assert found.nats == pytest.approx(math.log(8))
    assert found.doubt == pytest.approx(math.log(2))


def test_who_is_named():
    with pytest.raises(ValueError, match="it: delta=0 must lie"):
        sample("it", 1, 2, 3, 0)
