"""Costs against the arrays themselves and against XLA."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import interpret, measure, structure
from compressjax.structure._budget import Model
from compressjax.structure._units import cut, mask
from tests.interpret import cutting
from tests.interpret.narrowing.test_narrow import IMAGES, linen


@pytest.fixture(scope="module")
def model():
    fn, params, x = linen(cutting.ResNet(), IMAGES)
    return Model(fn, params, (x,), interpret.couplings(fn)(params, x))


def test_costs_are_those_of_the_smaller_arrays(model):
    kept = cutting.half(model.groups)
    small = cut(model.params, model.groups, kept)
    count = sum(x.size for x in jax.tree.leaves(small))
    assert structure.parameters(1.0).cost(model, kept) == count
    assert structure.size(1.0).cost(model, kept) == 4 * count
    expected = measure.flops(interpret.narrow(model.fn, model.params, kept), small, *model.args)
    assert structure.flops(1.0).cost(model, kept) == pytest.approx(expected, rel=0.1)


def test_latency_times_the_smaller_function(model):
    kept = cutting.half(model.groups)
    calls = []

    def clock(call):
        calls.append(call())
        return 0.25

    assert structure.latency(limit=1.0, clock=clock).cost(model, kept) == 0.25
    want = jax.jit(model.fn)(mask(model.params, model.groups, kept), *model.args)
    assert jnp.allclose(calls[0], want, rtol=1e-4, atol=1e-3)
    assert structure.latency(limit=1.0).cost(model, kept) > 0


def test_limits_are_shares_or_numbers(model):
    whole = structure.parameters(1.0).cost(model, {})
    assert structure.parameters(0.25).allowed(model) == whole / 4
    assert structure.parameters(limit=10).allowed(model) == 10


@pytest.mark.parametrize("made", [structure.parameters, structure.size, structure.flops, structure.latency])
def test_bad_limits_are_refused(made):
    with pytest.raises(ValueError, match="either share"):
        made()
    with pytest.raises(ValueError, match="either share"):
        made(0.5, limit=3)
    with pytest.raises(ValueError, match=r"not in \(0, 1\]"):
        made(1.5)
    with pytest.raises(ValueError, match="not positive"):
        made(limit=0)
