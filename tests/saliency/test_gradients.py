"""Gradients over batches and examples against jax.grad, one at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core
from compressjax.saliency._gradients import (
    check_batches,
    example_gradients,
    gradients,
    hessian_product,
    mean_over,
    stacked_gradients,
    sum_over,
)
from compressjax.tensors import Masked
from tests.saliency.networks import batches, loss, make, total


def test_mean_over_batches_of_different_sizes():
    data = batches(1, 6) + batches(1, 3, seed=2)
    mean = mean_over(data, lambda batch: gradients(loss, make(), batch))
    want = core.values(jax.grad(total)(make(), data))
    for path, g in mean.items():
        np.testing.assert_allclose(g, want[path], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("bad", [[], None, iter([1])])
def test_batches_must_be_a_list(bad):
    with pytest.raises(ValueError, match="must be a list of batches"):
        mean_over(bad, lambda batch: batch)


@pytest.mark.parametrize(("bad", "message"), [([], "mine: batches is empty"), (iter([1]), "mine: batches=<list_it")])
def test_the_check_names_the_method(bad, message):
    check_batches([1], "mine")
    for call in (check_batches, lambda batches, who: sum_over(batches, lambda batch: batch, who)):
        with pytest.raises(ValueError, match=message):
            call(bad, "mine")


def test_sum_over_batches_is_no_mean():
    got = sum_over([jnp.array([1.0, 2.0]), jnp.array([3.0, 5.0]), jnp.array([0.5])], lambda batch: {"s": batch.sum()})
    assert got["s"] == 11.5


def test_gradients_stack_in_the_order_of_the_batches():
    data = batches(1, 6) + batches(1, 3, seed=2)
    stacked = stacked_gradients(loss, make(), data)
    first, second = (example_gradients(loss, make(), batch) for batch in data)
    for path, g in stacked.items():
        assert g.shape[0] == 9
        np.testing.assert_allclose(g[:6], first[path], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(g[6:], second[path], rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="mine: batches is empty"):
        stacked_gradients(loss, make(), [], "mine")


def test_examples_one_by_one():
    x, y = batches(1)[0]
    each = example_gradients(loss, make(), (x, y))
    for i in range(len(x)):
        one = gradients(loss, make(), (x[i : i + 1], y[i : i + 1]))
        for path, g in one.items():
            np.testing.assert_allclose(each[path][i], g, rtol=1e-4, atol=1e-6)


@pytest.mark.thorough
def test_hessian_product_is_the_explicit_one():
    params, batch = make(), batches(1)[0]
    flat = core.values(params)
    rng = np.random.default_rng(0)
    direction = {path: jnp.asarray(rng.normal(size=x.shape), jnp.float32) for path, x in flat.items()}
    hessian = jax.hessian(lambda flat: loss(core.with_values(params, flat), batch))(flat)
    for path, got in hessian_product(loss, params, batch, direction).items():
        want = sum(jnp.tensordot(hessian[path][other], direction[other], axes=2) for other in flat)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_values_in_nodes_have_gradients():
    tree = {"w": Masked(jnp.ones(2), jnp.array([True, False]))}
    grads = gradients(lambda p, b: jnp.sum(p["w"].materialize() * b), tree, 3.0)
    assert grads["w"].tolist() == [3.0, 0.0]
