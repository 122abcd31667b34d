"""What learned grids share: a bad gradient moves nothing."""

import jax.numpy as jnp
import numpy as np

from compressjax import quant


def test_numbers_do_not_move_on_gradients_that_are_not_finite():
    params = {"kernel": jnp.array([[1.0, -2.0], [0.5, 3.0]])}
    for method in (quant.lsq(3), quant.ttq()):
        state = method.init(params)
        _, after = method.before_step({"kernel": jnp.full((2, 2), jnp.nan)}, params, state)
        np.testing.assert_array_equal(after.learned["kernel"], state.learned["kernel"])
        _, moved = method.before_step({"kernel": jnp.array([[1.0, 0.0], [0.0, 2.0]])}, params, state)
        assert (np.asarray(moved.learned["kernel"]) != np.asarray(state.learned["kernel"])).any()
