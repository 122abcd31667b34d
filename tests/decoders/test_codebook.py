"""Tables of centroids, by loops."""

import numpy as np

from compressjax.coding import materialize
from tests.coding.samples import shared, spec


def test_masked_codebook_by_a_loop():
    made = shared(0, 8, 5)
    book, kept = made["fields"]["value"]["fields"], made["fields"]["mask"]
    dense = materialize(made)
    for i, j in np.ndindex(8, 5):
        assert dense[i, j] == (book["centroids"][book["codes"][i, j]] if kept[i, j] else 0)
    assert dense.dtype == np.float32


def test_batched_codebook():
    codes = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    table = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert materialize(spec("Codebook", {"centroids": table, "codes": codes})).tolist() == [[1, 2, 2], [4, 3, 4]]
