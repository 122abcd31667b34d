"""Unbiased messages and their variances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.gradients import natural, qsgd
from tests.gradients.workers import once

X = np.array([[0.3, -1.7, 0.0, 4.0], [2.5, -0.25, 1.0, 6.1]], np.float32)
DRAWS = 2000


@pytest.mark.parametrize("levels", [3, 20])
def test_levels_are_unbiased_within_the_bound(levels):
    drawn = np.asarray(jax.jit(jax.vmap(lambda seed: once(qsgd(levels, 8), X, key=seed)[0]))(jnp.arange(DRAWS)))
    norm = np.linalg.norm(X)
    codes = drawn * levels / norm
    np.testing.assert_allclose(codes, np.round(codes), atol=1e-4)
    assert (np.abs(codes - X * levels / norm) < 1 + 1e-4).all()
    np.testing.assert_allclose(drawn.mean(0), X, atol=5 * norm / levels / 2 / DRAWS**0.5)
    part = X * levels / norm
    exact = (norm / levels) ** 2 * ((part - np.floor(part)) * (np.ceil(part) - part)).sum()
    variance = ((drawn - X) ** 2).sum((1, 2)).mean()
    assert variance == pytest.approx(exact, rel=0.1)
    assert variance <= min(8 / levels**2, 8**0.5 / levels) * norm**2


def test_blocks_have_norms_of_their_own():
    """A block of one large entry is exact; an odd size is padded."""
    x = np.array([[5.0, 0.0, 0.0, 0.0, -3.0]], np.float32)
    np.testing.assert_array_equal(once(qsgd(7, 4), x)[1], x)
    np.testing.assert_array_equal(once(qsgd(7, 4), np.zeros_like(x))[1], 0 * x)


def test_powers_of_two_are_unbiased_within_an_eighth():
    drawn = np.asarray(jax.jit(jax.vmap(lambda seed: once(natural(), X, key=seed)[0]))(jnp.arange(DRAWS)))
    mantissas, _ = np.frexp(drawn[:, X != 0])
    assert set(np.abs(mantissas).ravel().tolist()) == {0.5}
    assert (drawn[:, 0, 2] == 0).all()
    assert (drawn[:, [0, 1, 1], [3, 1, 2]] == [4, -0.25, 1]).all()
    np.testing.assert_allclose(drawn.mean(0), X, atol=5 * 4 / 2 / DRAWS**0.5)
    low = 2 ** np.floor(np.log2(np.abs(X), where=X != 0, out=np.zeros_like(X)))
    exact = np.where(X != 0, (np.abs(X) - low) * (2 * low - np.abs(X)), 0).sum()
    variance = ((drawn - X) ** 2).sum((1, 2)).mean()
    assert variance == pytest.approx(exact, rel=0.1)
    assert variance <= (X**2).sum() / 8


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="levels=200 must be from 1 to 127"):
        qsgd(200)
