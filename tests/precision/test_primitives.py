"""Every operation is in one class."""

from compressjax.precision._primitives import FLOWS, PRODUCTS, REDUCTIONS, REPEATS


def test_classes_do_not_overlap():
    assert not FLOWS & PRODUCTS
    assert not FLOWS & REDUCTIONS
    assert not PRODUCTS & REDUCTIONS
    assert {"reduce_sum", "exp", "rsqrt", "integer_pow"} <= REDUCTIONS
    assert REPEATS < FLOWS
