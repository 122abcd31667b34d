"""Shares of zeros, by hand."""

import numpy as np
import pytest

from compressjax import measure, tensors

TREE = {
    "a": {"kernel": np.eye(4, dtype=np.float32), "bias": np.zeros(4, np.float32)},
    "b": {"kernel": tensors.Masked(np.float32([[1, 2], [0, 4]]), np.array([[True, False], [True, True]]))},
    "count": np.zeros((2, 2), np.int32),
}


def test_kernels_alone():
    found = measure.sparsity(TREE)
    # A kept zero is a zero, a masked two is one as well.
    assert found == (14 / 20, {"a/kernel": 0.75, "b/kernel": 0.5}, 14, 20)


def test_selected_leaves():
    assert measure.sparsity(TREE, "a/.*").total == 16 / 20
    assert measure.sparsity(TREE, ".*bias").leaves == {"a/bias": 1.0}


def test_nothing_selected_is_refused():
    with pytest.raises(ValueError, match=r"'conv' selects nothing; the tree has \['a/bias', 'a/kernel'"):
        measure.sparsity(TREE, "conv")
