"""Magnitude."""

import numpy as np

from compressjax import saliency
from tests import helpers


def test_is_the_absolute_value():
    w = helpers.array(0, (5, 3))
    np.testing.assert_array_equal(saliency.magnitude().score({"kernel": w})["kernel"], np.abs(w))
