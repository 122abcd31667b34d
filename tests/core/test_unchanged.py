"""A compression that did nothing is found out, and nothing else is."""

import jax
import numpy as np
import pytest

from compressjax import tensors
from compressjax.core._unchanged import UnchangedWarning, report_unchanged, unchanged

X = np.arange(12.0, dtype=np.float32).reshape(4, 3)
NAN = np.where(X > 10, np.nan, X).astype(np.float32)
ALL = np.ones((4, 3), bool)
CODES = np.arange(12, dtype=np.uint8).reshape(4, 3)
GRID = tensors.Quantized(X.astype(np.int8), np.ones((1, 1), np.float32))


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (X, X, True),
        (X, X.copy(), True),
        (X, X + 1, False),
        (NAN, tensors.Masked(NAN, ALL), True),
        (X, tensors.Masked(X, ALL), True),  # a bit more for every entry, and nothing is masked
        (
            X,
            tensors.Masked(np.where(CODES > 0, X, 0), CODES > 0),
            False,
        ),  # fewer bits
        (X, tensors.Codebook(X.ravel(), CODES), True),  # as many centroids as weights
        (X, GRID, False),  # exact, and four times smaller
        (GRID, tensors.Masked(GRID, ALL), True),
        (tensors.Masked(X, CODES > 5), tensors.Masked(GRID, CODES > 5), False),
    ],
)
def test_values_and_bytes_decide(before, after, same):
    assert unchanged({"a": {"kernel": before}, "b": X}, {"a": {"kernel": after}, "b": X + 1}) == (
        {"a/kernel"} if same else set()
    )


def test_under_a_trace_only_the_same_object_is_unchanged():
    found = []
    jax.eval_shape(lambda x, y: found.append(unchanged({"a": x, "b": y}, {"a": x, "b": y + 0})), X, X)
    assert found == [{"a"}]


def test_a_whole_rule_must_have_done_nothing():
    same = frozenset({"a", "b"})
    message = r"svd\(rank=9\) changed no value and saved no byte of a, b/left, b/right; use stronger"
    with pytest.raises(ValueError, match=message):
        report_unchanged("svd(rank=9)", ["a", "b/left", "b/right"], same, "raise")
    with pytest.warns(UnchangedWarning, match="saved no byte of a;"):
        report_unchanged("svd(rank=9)", ["a"], same, "warn")
    report_unchanged("svd(rank=9)", ["a", "bb"], same, "raise")
    report_unchanged("svd(rank=9)", ["a"], same, "ignore")
    report_unchanged("identity", ["a"], same, "raise")
    with pytest.raises(ValueError, match="on_unchanged='no'; use 'raise', 'warn' or 'ignore'"):
        report_unchanged("svd(rank=9)", ["c"], same, "no")
