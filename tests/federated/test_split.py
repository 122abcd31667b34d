"""Splits own every row once, and their shares have the moments of the Dirichlet distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.federated import Clients, dirichlet_split, draw_rows, sample_clients

LABELS = np.tile(np.arange(10), 200)


def owned(split):
    return [np.asarray(rows[:size]) for rows, size in zip(split.rows, split.sizes, strict=True)]


def test_every_row_has_one_owner_and_small_alphas_gather_classes():
    few, many = (owned(dirichlet_split(LABELS, 8, alpha, jax.random.key(0))) for alpha in (0.05, 1000.0))
    for parts in (few, many):
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(LABELS)))
    counts = np.stack([np.bincount(LABELS[part], minlength=10) for part in many])
    assert np.abs(counts - 25).max() < 8
    largest = [np.bincount(LABELS[part], minlength=10).max() / len(part) for part in few]
    assert np.mean(largest) > 0.5


def test_shares_have_the_variance_of_the_distribution():
    """`Var p = (1/N)(1 - 1/N) / (N alpha + 1)`, over 100 classes of one draw."""
    labels = np.repeat(np.arange(100), 60)
    parts = owned(dirichlet_split(labels, 4, 0.5, jax.random.key(1)))
    shares = np.stack([np.bincount(labels[part], minlength=100) for part in parts]) / 60
    np.testing.assert_allclose(shares.sum(0), 1)
    np.testing.assert_allclose(shares.var(), 0.25 * 0.75 / (4 * 0.5 + 1), rtol=0.15)


def test_rows_are_of_their_client_and_depend_on_no_other():
    split = dirichlet_split(LABELS, 8, 0.3, jax.random.key(0), least=5)
    assert int(split.sizes.min()) >= 5
    rows = np.asarray(draw_rows(split, jnp.array([3, 6]), jax.random.key(2), 4, 16))
    assert rows.shape == (2, 4, 16)
    parts = owned(split)
    assert set(rows[0].ravel()) <= set(parts[3])
    assert set(rows[1].ravel()) <= set(parts[6])
    alone = draw_rows(split, jnp.array([6]), jax.random.key(2), 4, 16)
    np.testing.assert_array_equal(rows[1], alone[0])


def test_samples_are_distinct_and_of_every_device():
    drawn = np.asarray(sample_clients(jax.random.key(0), 20, 8, devices=4))
    assert len(set(drawn)) == 8
    np.testing.assert_array_equal(drawn // 5, np.repeat(np.arange(4), 2))
    assert not np.array_equal(drawn, np.asarray(sample_clients(jax.random.key(1), 20, 8, devices=4)))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"clients=0 and least=1 must be at least 1"):
        dirichlet_split(LABELS, 0, 0.1, jax.random.key(0))
    with pytest.raises(ValueError, match=r"labels\[3\] cannot give 4 clients 1 rows each"):
        dirichlet_split([0, 1, 2], 4, 0.1, jax.random.key(0))
    with pytest.raises(ValueError, match="no split of 100 gives all 4 clients 40 rows at alpha=0.01"):
        dirichlet_split(LABELS[:170], 4, 0.01, jax.random.key(0), least=40)
    with pytest.raises(ValueError, match="count=3 must be from 1 to clients=8, and devices=2 must divide both"):
        sample_clients(jax.random.key(0), 8, 3, 2)
    assert Clients._fields == ("rows", "sizes")
