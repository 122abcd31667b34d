"""Count sketches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.gradients import count_sketch, exchange
from tests.gradients.workers import AXIS, gradients, once, run


def test_the_largest_entries_are_found_exactly_where_nothing_collides():
    x = np.zeros((6, 5), np.float32)
    x[1, 2], x[4, 0] = 3, -2
    np.testing.assert_allclose(once(count_sketch(5, 200, 2 / 30), x)[1], x)


def test_rows_are_unbiased_with_the_stated_variance(draw):
    x = draw.normal(size=(2, 5)).astype(np.float32)
    found = jax.jit(jax.vmap(lambda seed: once(count_sketch(1, 4, 1.0), x, key=seed)[1]))(jnp.arange(2000))
    np.testing.assert_allclose(found.mean(0), x, atol=0.2)
    found = np.asarray(found)
    variance = ((found - x) ** 2).mean(0)
    assert variance.max() <= 1.2 * (x**2).sum() / 4
    np.testing.assert_allclose(variance, ((x**2).sum() - x**2) / 4, rtol=0.2)


def test_what_is_not_found_stays_in_the_sketch():
    """What is left in the sketch after all steps is the sketch of what was never in an update."""
    grads = gradients()
    compressor = count_sketch(3, 7, 0.2)
    updates, state = run(exchange(compressor, AXIS), grads)
    missing = grads["kernel"].mean(1).sum(0) - updates["kernel"][:, 0].sum(0)
    one = exchange(compressor)
    found, after = one.update({"kernel": missing}, one.init({"kernel": missing}))
    # After one step on `missing`, the sketch lacks what that step found; the same step here finds the same.
    zero = {"kernel": jnp.zeros((6, 5))}
    again, last = one.update(zero, one.init(zero)._replace(shared={"kernel": state.shared["kernel"][0]}))
    np.testing.assert_allclose(again["kernel"], found["kernel"], atol=1e-5)
    np.testing.assert_allclose(last.shared["kernel"], after.shared["kernel"], atol=1e-5)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="rows=0 and columns=4 must be at least 1"):
        count_sketch(0, 4, 0.1)
