"""The tables that codes index."""

import ml_dtypes
import numpy as np
import scipy.stats

from compressjax.tensors.quantized._tables import TABLES


def test_nf4_is_made_of_normal_quantiles():
    """Eight quantiles above zero, seven below, and zero; as published."""
    offset = np.float32(0.9677083)
    above = scipy.stats.norm.ppf(np.linspace(offset, 0.5, 9, dtype=np.float32)[:-1].astype(np.float64))
    below = -scipy.stats.norm.ppf(np.linspace(offset, 0.5, 8, dtype=np.float32)[:-1].astype(np.float64))
    levels = np.sort([*below, 0.0, *above]) / above.max()
    np.testing.assert_allclose(TABLES["nf4"], levels, atol=1e-7, rtol=0)


def test_six_bit_floats_are_their_bit_patterns():
    for name in ("float6_e2m3fn", "float6_e3m2fn"):
        numbers = TABLES[name]
        assert numbers.shape == (64,)
        np.testing.assert_array_equal(numbers.astype(getattr(ml_dtypes, name)).view(np.uint8), np.arange(64))
