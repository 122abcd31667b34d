"""Labels and the walk over a jaxpr."""

import jax.numpy as jnp
import numpy as np

from compressjax.interpret.coupling._couplings import label_function
from compressjax.interpret.coupling._labels import LabeledTrace, Labels, constant


def test_constants_know_their_value():
    labeled = LabeledTrace({})
    assert constant(labeled, np.full((2, 3), 1.5)).value == 1.5
    assert constant(labeled, np.arange(2.0)).value is None
    assert constant(labeled, np.zeros((2, 0))).value is None
    assert constant(labeled, 2.0).shape == ()


def test_a_zero_vanishes_along_every_axis():
    labeled = LabeledTrace({})
    assert labeled.new((2,), value=0.0).vanishes(0)
    assert not labeled.new((2,), value=1.0).vanishes(0)
    assert Labels((labeled.atoms.fresh(2),), (True,)).vanishes(0)


def test_unused_operations_freeze_nothing():
    def fn(p, x):
        h = x @ p["a"]
        jnp.sort(h, -1)
        return h @ p["b"]

    found = label_function(fn, ({"a": jnp.ones((2, 4)), "b": jnp.ones((4, 1))}, jnp.ones((1, 2))), {})
    assert found.labeled.atoms.reason(found.weights["a"].axes[1][0]) is None


def test_records_cover_every_equation():
    found = label_function(lambda p, x: jnp.tanh(x @ p), (jnp.ones((2, 3)), jnp.ones((1, 2))), {})
    assert sorted(found.labeled.records) == [(0,), (1,)]
