"""Sums in NumPy."""

from compressjax.coding import materialize
from tests.coding.samples import shared, spec, weights


def test_sum_adds_its_terms():
    terms = (weights(0, 3, 3), shared(1, 3, 3))
    assert materialize(spec("Sum", {"terms": terms})).tolist() == (terms[0] + materialize(terms[1])).tolist()
