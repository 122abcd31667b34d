"""Masks in NumPy."""

import numpy as np

from compressjax.coding import materialize
from tests.coding.samples import mask, spec


def test_masks_hide_what_is_not_a_number():
    kept = mask(0, 6, 4)
    dense = materialize(spec("Masked", {"value": np.where(kept, 1.0, np.nan), "mask": kept}))
    assert dense.tolist() == kept.astype(float).tolist()
