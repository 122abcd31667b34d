"""Integer mixing: tables that every machine has alike, and steps that follow the real functions."""

import jax.numpy as jnp
import numpy as np
import scipy.special

from compressjax.theory.lossless import _logistic


def test_tables_are_the_same_on_every_machine():
    """No entry is so near a tie that another `exp` or `log` would round it elsewhere."""
    values = 65536 * scipy.special.expit(_logistic._LOGITS)
    logits = 256 * scipy.special.logit(_logistic._SHARES)
    for x, table in ((values, _logistic._SQUASH), (logits[np.abs(logits) < 2047], None)):
        assert np.abs(x - np.floor(x) - 0.5).min() > 1e-6
        assert table is None or np.array_equal(table, np.rint(x))


def test_squash_and_stretch_follow_their_functions():
    logits = jnp.arange(-2000, 2001, 100)
    np.testing.assert_allclose(
        _logistic.squash(logits) / 65536, scipy.special.expit(np.asarray(logits) / 256), atol=1e-5
    )
    np.testing.assert_allclose(_logistic.stretch(_logistic.squash(logits)), logits, atol=40)
    np.testing.assert_allclose(_logistic.stretch(jnp.array([1, 65535])), [-2047, 2047])


def test_a_counter_is_the_mean_of_its_bits_and_a_half():
    chance = jnp.asarray(32768)
    bits = [1, 1, 0, 1, 0, 0, 1, 1]
    for seen, bit in enumerate(bits):
        chance = _logistic.toward(chance, jnp.asarray(bit), jnp.asarray(seen))
    assert abs(int(chance) / 65536 - (sum(bits) + 0.25) / (len(bits) + 0.5)) < 1e-3
    assert int(_logistic.toward(jnp.asarray(65535), jnp.asarray(1), jnp.asarray(0))) == 65535
    assert int(_logistic.toward(jnp.asarray(1), jnp.asarray(0), jnp.asarray(0))) >= 1


def test_mixing_and_its_step_are_those_of_floats(draw):
    inputs, weights = draw.integers(-2047, 2048, 6), draw.integers(-50000, 50000, 6)
    exact = np.clip((inputs * weights).sum() / 65536, -2047, 2047)
    logit = _logistic.mix(jnp.asarray(inputs, jnp.int32), jnp.asarray(weights, jnp.int32))
    assert abs(int(logit) - exact) < 2
    chance = _logistic.squash(logit)
    moved = _logistic.learn(jnp.asarray(inputs, jnp.int32), jnp.asarray(weights, jnp.int32), chance, jnp.asarray(1), 6)
    step = 6 * inputs * (65536 - int(chance)) / 2**20
    np.testing.assert_allclose(np.asarray(moved) - weights, step, atol=0.5 + np.abs(inputs).max() / 2**16 + 1e-9)


def test_a_fresh_refinement_changes_nothing_and_learns():
    table, logit = jnp.asarray(_logistic.refined(3)), jnp.asarray(300)
    chance, cells, first = _logistic.refine(table, jnp.asarray(1), logit)
    assert abs(int(chance) - int(_logistic.squash(logit))) < 500
    assert int(first) == 33 + (300 + 2048) // 128
    for _ in range(300):
        chance, cells, first = _logistic.refine(table, jnp.asarray(1), logit)
        table = _logistic.corrected(table, cells, first, jnp.asarray(0))
    assert int(chance) < 8000
    assert int(_logistic.refine(table, jnp.asarray(2), logit)[0]) > 40000
