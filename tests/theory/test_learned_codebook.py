"""Learned codebooks: k-means at the start, gradients as the paper has them, and a charge that lowers the entropy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from compressjax.theory import as_codebook, empirical_entropy, round_to_codebook, start_codebook


def test_the_start_is_as_good_as_scikit_learn(draw):
    x = draw.normal(size=300)
    ours = start_codebook(x, 5, iterations=200)
    inertia = (np.abs(x[:, None] - ours).min(1) ** 2).sum()
    theirs = KMeans(5, n_init=3, random_state=0).fit(x[:, None]).inertia_
    assert inertia < 1.05 * theirs
    assert start_codebook([1.0, 1.0], 3).tolist() == [1.0, 1.0, 1.0]


def test_values_and_centroids_learn_as_the_paper_says():
    values, table = jnp.array([0.1, 0.8, 1.3, -0.2]), jnp.array([0.0, 1.0, 9.0])
    slope = jnp.array([1.0, 2.0, 4.0, 8.0])
    loss = lambda v, c: (round_to_codebook(v, c)[0] * slope).sum()  # noqa: E731
    by_value, by_centroid = jax.grad(loss, (0, 1))(values, table)
    np.testing.assert_allclose(by_value, slope)
    np.testing.assert_allclose(by_centroid, [9.0, 6.0, 0.0])


def test_a_charge_lowers_the_entropy(draw):
    values, table = jnp.asarray(draw.normal(size=400), jnp.float32), jnp.array([-1.5, 0.0, 1.5])
    bits = [empirical_entropy(round_to_codebook(values, table, charge)[1]) for charge in (0.0, 0.8, 3.0)]
    assert bits[0] > bits[1] + 0.1 > bits[2] + 0.1


def test_the_node_holds_what_training_saw(draw):
    values, table = jnp.asarray(draw.normal(size=50), jnp.float32), jnp.array([-1.0, 0.25, 100.0])
    node = as_codebook(values, table)
    assert node.centroids.tolist() == [-1.0, 0.25]  # nothing is at 100
    np.testing.assert_array_equal(node.materialize().astype(jnp.float32), round_to_codebook(values, table)[0])


@pytest.mark.parametrize("bad", [([1.0], 1), ([jnp.nan], 2), ([], 2), ([1.0], 257)])
def test_bad_input_is_named(bad):
    with pytest.raises(ValueError, match="start_codebook: "):
        start_codebook(*bad)
