"""Stochastic depth: the paper's linear decay, and gates of mean 1 in a scanned network."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


def test_rates_fall_evenly_to_the_last() -> None:
    rates = distill.survival_rates(54, 0.5)
    assert float(rates.sum()) == pytest.approx((3 * 54 - 1) / 4)  # the paper's number of layers that run on average
    np.testing.assert_allclose(jax.jit(lambda p: distill.survival_rates(3, p))(1.0), jnp.ones(3))


def test_gates_have_mean_one_and_a_gate_of_zero_skips_its_layer(key: jax.Array) -> None:
    rates, layers = jnp.array([0.9, 0.5, 0.25]), jnp.array([1.0, 10.0, 100.0])

    def run(gates: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda x, each: (x + each[0] * each[1], None), 0.0, (gates, layers))[0]

    gates = jax.vmap(lambda k: distill.layer_gates(k, rates))(jax.random.split(key, 4000))
    assert {tuple(row) for row in np.asarray(gates > 0)} == set(itertools.product([False, True], repeat=3))
    np.testing.assert_allclose(np.max(gates, axis=0), 1 / rates, rtol=1e-6)
    np.testing.assert_allclose(gates.mean(0), np.ones(3), atol=0.1)
    assert float(run(jnp.ones(3))) == 111
    assert float(run(distill.layer_gates(key, jnp.array([1.0, 0.0, 1.0])))) == 101


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="layers=0"):
        distill.survival_rates(0, 0.5)
    with pytest.raises(ValueError, match="last=-1"):
        distill.survival_rates(3, -1)
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match=f"layer_gates: rates has {wrong:g}; rates are probabilities"):
            distill.layer_gates(jax.random.key(0), [0.5, wrong])
