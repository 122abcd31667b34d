"""A method of one's own runs through every law; the mutants in `tests/conformance` show what the laws reject."""

import jax.numpy as jnp
import pytest

from compressjax import core, testing
from compressjax.testing._methods import assert_projection
from tests import toys

EXAMPLE = testing.Example()


def test_what_a_method_does_not_promise_is_left_out():
    held = testing.check_method(
        lambda: core.only("last/.*", toys.factor()), examples=(EXAMPLE,), projection=None, select="last/.*"
    )
    assert held == ("shape", "view", "size", "lossless", "decoded", "selection", "stability", "composition")


def test_either_method_of_a_pair_gets_its_statistics():
    weigh = core.from_encode("weigh", lambda path, x, stats: x * stats["norm"] if stats else x, needs=("norm",))
    norms = {path: {"norm": jnp.float32(0.5)} for path in ("first/kernel", "last/kernel")}
    mask, needy = testing.Method("mask", toys.mask), testing.Method("weigh", lambda: weigh)
    assert not testing.assert_composition(mask, needy, EXAMPLE)
    assert testing.assert_composition(mask, testing.Method("weigh", lambda: weigh, stats=lambda params: norms), EXAMPLE)


def test_a_tolerance_is_a_number_or_a_function_of_the_dtype():
    bent = core.from_encode("bent", lambda path, x, stats: x * (1 + 3e-7))
    for tolerance in (4.0, lambda dtype: {"float32": 4.0}[dtype]):
        assert_projection(testing.Method("bent", lambda: bent, projection=tolerance), EXAMPLE)
    with pytest.raises(testing.Broken, match="projection: first/kernel is off by"):
        assert_projection(testing.Method("bent", lambda: bent, projection=1.0), EXAMPLE)
