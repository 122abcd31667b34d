"""The step and the leaf at which numbers stop being finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import recipe
from experiments.stages.diverging import FINE, LOSS_ALONE, fault, unfinished

PARAMS = {"b": jnp.zeros(2), "a": jnp.ones((2, 2)), "n": jnp.ones(3)}
BAD = {**PARAMS, "b": jnp.array([0, jnp.nan])}


@pytest.mark.parametrize(
    ("loss", "params", "grads", "place"),
    [
        (1.0, BAD, BAD, FINE),
        (np.nan, PARAMS, PARAMS, LOSS_ALONE),
        (np.inf, BAD, PARAMS, 1),
        (np.nan, PARAMS, BAD, 4),
    ],
)
def test_the_first_leaf_in_the_order_of_paths(loss, params, grads, place):
    assert int(jax.jit(fault)(jnp.float32(loss), params, grads)) == place


def test_the_step_and_the_leaf_are_named():
    history, faults = [{"loss": np.array([1.0, np.nan])}, {"loss": np.nan}], [np.array([FINE, 4]), np.array(1)]
    with pytest.raises(
        recipe.DivergedError, match="stage s: the loss became nan at step 31; the first gradient .* is b"
    ):
        unfinished("s", 30, 0.1, PARAMS, history, faults)


def test_a_step_that_leaves_bad_numbers_is_not_saved():
    unfinished("s", 30, 0.1, PARAMS, [{"loss": np.ones(2)}], [np.array([FINE] * 2)])
    with pytest.raises(recipe.DivergedError, match="step 31 left b with numbers that are not finite, from a loss of 1"):
        unfinished("s", 30, 0.1, BAD, [{"loss": np.ones(2)}], [np.array([FINE] * 2)])
