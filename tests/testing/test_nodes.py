"""The laws of files on trees of every container; the mutants in `tests/conformance` show what they reject."""

import jax.numpy as jnp
import numpy as np

from compressjax import tensors
from compressjax.testing._nodes import assert_decoded, assert_lossless, assert_size
from tests.helpers import array


def test_trees_of_arrays_and_nodes_pass(tmp_path):
    book = tensors.Codebook(array(0, (3,), "bfloat16"), jnp.uint8([[0, 2], [1, 1]]))
    tree = {
        "list": [tensors.Masked(book, jnp.eye(2, dtype=bool)), np.arange(3)],
        "tuple": (tensors.Sum((book, array(1, (2, 2), "bfloat16"))), jnp.float16(2)),
    }
    assert_size(tree, tmp_path)
    assert_lossless(tree, tmp_path)
    assert assert_decoded(tree, tmp_path)
