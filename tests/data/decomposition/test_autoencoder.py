"""Autoencoders: a linear one finds the principal components, a deeper one goes below their error."""

import jax
import numpy as np
import optax
import pytest

from compressjax import data
from tests.data import laws


@pytest.mark.thorough
def test_a_linear_one_reaches_the_error_of_pca(draw, key):
    rows = draw.normal(size=(128, 2)) @ draw.normal(size=(2, 5)) + 0.2 * draw.normal(size=(128, 5)) + 3
    rows = rows.astype(np.float32)
    reducer = data.autoencoder(2, key, widths=(), size=16, passes=80, optimizer=optax.sgd(0.1, 0.9))
    fitted = data.fit(reducer, rows)
    best = float(data.fit(data.pca(2), rows).reconstruction_error(rows))
    assert best * (1 - 1e-4) < float(fitted.reconstruction_error(rows)) < 1.05 * best
    laws.assert_close(data.fit(reducer, [rows[:64], rows[64:]]), fitted, 1e-3)  # steps of 32 rows in the same order


@pytest.mark.thorough
def test_hosts_are_averaged(draw, key):
    rows = draw.normal(size=(48, 3)).astype(np.float32)
    reducer = data.autoencoder(1, key, widths=(4,), size=16, passes=3)
    merge = jax.jit(reducer.merge)
    first = jax.jit(reducer.again)(merge(*(data.gathered(reducer, part) for part in (rows[:16], rows[16:]))))[0]
    laws.assert_close(first.moments, data.gathered(reducer, rows).moments, 1e-5)
    states = [data.gathered(reducer, part, start=first) for part in (rows[:16], rows[16:])]
    both = merge(*states)
    expected = jax.tree.map(lambda a, b: a / 3 + 2 * b / 3, *(s.params for s in states))
    laws.assert_close(both.params, expected, 1e-5)
    laws.assert_close(both.moments, first.moments, 1e-6)


@pytest.mark.thorough
def test_bends_are_learned(key):
    turn = np.linspace(-1, 1, 96)
    rows = np.stack([turn, np.abs(turn)], 1).astype(np.float32)
    fitted = data.fit(data.autoencoder(1, key, widths=(16,), size=32, passes=60, optimizer=optax.adam(0.02)), rows)
    assert fitted.transform(rows).shape == (96, 1)
    straight = data.fit(data.pca(1), rows).reconstruction_error(rows)
    assert float(fitted.reconstruction_error(rows)) < 0.5 * float(straight)


def test_bad_arguments_are_named(key):
    with pytest.raises(ValueError, match="passes=1 at least 2"):
        data.autoencoder(1, key, passes=1)
