"""The hard concrete distribution: gates in [0, 1] that are exactly 0 or 1 with a probability that learns."""

import math

import jax
import jax.numpy as jnp

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1  # of Louizos et al., arXiv:1712.01312


def hard_concrete(log_alpha: jax.Array, u: jax.Array) -> jax.Array:
    """Gate for uniform noise, `clip(sigmoid((logit(u) + log_alpha) / beta) (zeta - gamma) + gamma, 0, 1)`."""
    s = jax.nn.sigmoid((jnp.log(u) - jnp.log1p(-u) + log_alpha) / BETA)
    return jnp.clip(s * (ZETA - GAMMA) + GAMMA, 0.0, 1.0)


def final_gate(log_alpha: jax.Array) -> jax.Array:
    """Gate at test time, `clip(sigmoid(log_alpha) (zeta - gamma) + gamma, 0, 1)`."""
    return jnp.clip(jax.nn.sigmoid(log_alpha) * (ZETA - GAMMA) + GAMMA, 0.0, 1.0)


def expected_l0(log_alpha: jax.Array) -> jax.Array:
    """Expected number of gates that are not zero, `sum(sigmoid(log_alpha - beta log(-gamma / zeta)))`."""
    return jnp.sum(jax.nn.sigmoid(log_alpha - BETA * math.log(-GAMMA / ZETA)))
