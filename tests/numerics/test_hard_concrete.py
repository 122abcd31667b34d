"""The hard concrete distribution against SciPy's closed forms and Monte Carlo."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special

from compressjax.numerics import _hard_concrete as hc

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1  # the paper's


def above(t, log_alpha):
    """P(z > t) for 0 <= t < 1: the stretched sigmoid exceeds t where logistic noise exceeds a bound."""
    return special.expit(log_alpha - BETA * special.logit((t - GAMMA) / (ZETA - GAMMA)))


@pytest.mark.parametrize("where", [-3.0, 0.0, 1.5])
def test_the_penalty_is_the_probability_of_an_open_gate(where, draw):
    """In closed form, and as the fraction of open gates in NumPy samples."""
    want = above(0.0, where)
    np.testing.assert_allclose(hc.expected_l0(jnp.array([where])), want, rtol=1e-6)
    s = special.expit((draw.logistic(size=200_000) + where) / BETA)
    gates = np.clip(s * (ZETA - GAMMA) + GAMMA, 0, 1)
    assert abs((gates > 0).mean() - want) < 4 * np.sqrt(want * (1 - want) / gates.size)
    assert abs(gates.mean() - integrate.quad(above, 0, 1, args=(where,))[0]) < 4 * gates.std() / np.sqrt(gates.size)


def test_gates_have_the_distribution(key):
    u = jax.random.uniform(key, (20_000,), minval=1e-6, maxval=1 - 1e-6)
    found = np.asarray(hc.hard_concrete(jnp.full(u.shape, 0.5), u))
    for t in (0.0, 0.5):
        assert (found > t).mean() == pytest.approx(above(t, 0.5), abs=0.02)
    assert (found == 1).mean() == pytest.approx(above(1.0, 0.5), abs=0.02)
    np.testing.assert_allclose(hc.final_gate(jnp.array([0.0, 9.0, -9.0])), [0.5, 1, 0], atol=1e-6)
