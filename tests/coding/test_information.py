"""Information of leaves against entropies that are written out."""

import numpy as np
import pytest

from compressjax.coding import Bits, information_bits
from tests.coding.samples import spec, weights


def test_codes_count_their_entropy_and_floats_their_width():
    codes = np.array([0, 0, 0, 1], np.uint8)
    entropy = 3 * np.log2(4 / 3) + np.log2(4)
    book = spec("Codebook", {"centroids": weights(0, 2), "codes": codes})
    assert information_bits(book) == pytest.approx(entropy + 64)
    assert information_bits(Bits("bfloat16", np.arange(5, dtype=np.uint16))) == 80
    assert information_bits(None) == 0
    assert information_bits(np.zeros((0, 3), np.uint8)) == 0


def test_masked_entries_do_not_count():
    mask = np.arange(8) % 4 == 0
    leaf = spec("Masked", {"mask": mask, "value": weights(0, 8)})
    assert information_bits(leaf) == pytest.approx(2 * 32 + 8 * (0.25 * 2 + 0.75 * np.log2(4 / 3)))
