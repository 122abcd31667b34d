"""TTQ against the published gradients."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import quant


def test_levels_and_gradients_are_the_published_ones():
    w = jnp.array([[4.0, -2.0, 0.1], [2.0, -4.0, -0.1]])
    g = jnp.array([[1.0, 2.0, 3.0], [0.5, 0.25, 5.0]])
    method = quant.ttq(0.1, optimizer=optax.sgd(1.0))
    state = method.init({"kernel": w})
    assert state.learned["kernel"].tolist() == [3.0, 3.0]
    received, after = method.before_step(
        {"kernel": g}, {"kernel": w}, state._replace(learned={"kernel": jnp.array([2.0, 3.0])})
    )
    np.testing.assert_allclose(received["kernel"], [[2.0, 6.0, 3.0], [1.0, 0.75, 5.0]])
    # Two levels: 2 - (1 + 0.5) and 3 + (2 + 0.25).
    np.testing.assert_allclose(after.learned["kernel"], [0.5, 5.25])
    assert method.view({"kernel": w}, after)["kernel"].tolist() == [[0.5, -5.25, 0.0], [0.5, -5.25, 0.0]]


def test_refuses_bad_thresholds():
    with pytest.raises(ValueError, match="threshold=1.0 must be"):
        quant.ttq(1.0)
