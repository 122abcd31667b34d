"""Numbers of small types, for every bit pattern, against ml_dtypes."""

import ml_dtypes
import numpy as np
import pytest

from compressjax.coding._minifloat import SMALL, numbers


@pytest.mark.parametrize("name", SMALL)
def test_every_bit_pattern(name):
    dtype = getattr(ml_dtypes, name)
    table = numbers(name)
    patterns = np.arange(table.size, dtype=np.uint8)
    np.testing.assert_array_equal(table, patterns.view(dtype).astype(np.float32))
    finite = table[np.isfinite(table)]
    back = finite.astype(dtype).view(np.uint8) & (table.size - 1)
    np.testing.assert_array_equal(back, patterns[np.isfinite(table)])
