"""Types of values: constants of the code stay finite, arguments may overflow."""

import jax.numpy as jnp
import numpy as np

from compressjax.precision._values import Run, Value, as_type, type_of

HALF = np.dtype(np.float16)


def test_constants_stay_finite():
    assert float(as_type(Value(-1e9, True, True), HALF)) == -65504.0
    assert float(as_type(Value(jnp.float32(-1e9), True, True), HALF)) == -65504.0
    assert float(as_type(Value(-np.inf, True, True), HALF)) == -np.inf
    assert float(as_type(Value(jnp.float32(-1e9)), HALF)) == -np.inf
    assert type_of(Value(2.0)) == jnp.float32


def test_sites_are_named_in_order():
    found = {}
    run = Run(None, None, found=found)
    assert run.state(run.name("dot_general")) is None
    inner = run.inside("001.scan/", 5, None)
    inner.state(inner.name("dot_general"))
    assert found == {"000.dot_general": (), "001.scan/000.dot_general": (5,)}
    run.apart().state("branch")
    assert len(found) == 2
