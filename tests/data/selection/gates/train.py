"""Trains a linear model with gates on data where two of six features matter."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

WEIGHTS = np.array([0.0, 3.0, 0.0, 0.0, -2.0, 0.0], np.float32)


def trained(gates, penalty, steps=400, outputs=6, **settings):
    """The parameters of the gates after training, and the error with the gates of use."""
    x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    y = x @ WEIGHTS
    moves = optax.adam(0.03)

    def loss(params, key, **more):
        z = gates.apply(params["gates"], x, key, **more)
        return jnp.mean((z @ params["w"] - y) ** 2) + penalty * gates.penalty(params["gates"])

    def step(carry, one):
        params, state = carry
        key, share = one
        more = {name: high * (low / high) ** share for name, (high, low) in settings.items()}
        slopes = jax.grad(loss)(params, key, **more)
        updates, state = moves.update(slopes, state)
        return (optax.apply_updates(params, updates), state), None

    params = {"gates": gates.init(jax.random.key(0)), "w": 0.1 * (-1.0) ** jnp.arange(outputs)}
    inputs = (jax.random.split(jax.random.key(1), steps), jnp.linspace(0, 1, steps))
    (params, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, inputs))((params, moves.init(params)))
    error = jnp.mean((gates.apply(params["gates"], x) @ params["w"] - y) ** 2)
    return params["gates"], float(error)
