"""Variational Bayes: planted ranks, pure noise, the equation of the shrunk values, bad input."""

import numpy as np
import pytest

from compressjax.lowrank import evbmf


@pytest.mark.parametrize(("rank", "shape"), [(1, (30, 60)), (5, (50, 40)), (8, (64, 64))])
def test_recovers_a_planted_rank_and_the_noise(draw, rank, shape):
    signal = draw.normal(size=(shape[0], rank)) @ draw.normal(size=(rank, shape[1]))
    for noise in (0.05, 0.3):
        found = evbmf(signal + noise * draw.normal(size=shape))
        assert found.rank == rank
        assert found.noise == pytest.approx(noise**2, rel=0.1)
    assert evbmf(signal + 0.05 * draw.normal(size=shape), 0.05**2).rank == rank


def test_there_is_nothing_in_noise(draw):
    for shape in ((40, 60), (30, 30), (20, 100)):
        assert evbmf(draw.normal(size=shape)).rank == 0
    assert evbmf(np.zeros((4, 6))).rank == 0
    assert evbmf(np.ones((1, 1))).rank <= 1


def test_values_are_stationary(draw):
    """Theorem 2 of the paper: shrunk values solve `d^2 - (1 - (L + M) s2 / v^2) v d + L M s2^2 / v^2 = 0`."""
    noisy = draw.normal(size=(20, 3)) @ draw.normal(size=(3, 30)) + 0.2 * draw.normal(size=(20, 30))
    values = np.linalg.svd(noisy, compute_uv=False)
    rank, s2, d = evbmf((values, (20, 30)))
    v = values[:rank]
    assert rank == 3
    np.testing.assert_allclose(d**2 - (1 - 50 * s2 / v**2) * v * d + 600 * s2**2 / v**2, 0, atol=1e-8)
    assert (d < v).all()


def test_exact_low_rank_has_no_noise(draw):
    assert evbmf(draw.normal(size=(20, 4)) @ draw.normal(size=(4, 30))).rank == 4


@pytest.mark.parametrize("bad", [np.ones(3), np.full((2, 2), np.nan), np.ones((0, 3))])
def test_what_is_no_matrix_is_refused(bad):
    with pytest.raises(ValueError, match="evbmf: an array of shape"):
        evbmf(bad)
    with pytest.raises(ValueError, match="noise=0"):
        evbmf(np.ones((2, 2)), 0)
