"""Eight clients whose losses are quadratics of other curvatures and minima, and rounds of them in one program."""

import jax
import jax.numpy as jnp
import numpy as np

CLIENTS, STEPS, ROUNDS, RATE = 8, 3, 3, 0.2
SHAPE = (2, 3)
CURVES = np.linspace(0.5, 1.5, CLIENTS, dtype=np.float32)[:, None, None]
TARGETS = np.linspace(-1, 1, CLIENTS * 6, dtype=np.float32).reshape(CLIENTS, *SHAPE)
ALL = np.arange(CLIENTS)


def loss(params, batch):
    """`a |x - t|^2 / 2` of the client whose number the batch is."""
    a, t = jnp.asarray(CURVES)[batch], jnp.asarray(TARGETS)[batch]
    return 0.5 * jnp.sum(a * (params["kernel"] - t) ** 2)


def slope(x, chosen=ALL):
    """Gradients of some clients at points of their own, in NumPy."""
    return CURVES[chosen] * (x - TARGETS[chosen])


def batches(chosen, steps=STEPS):
    """The numbers of the clients, for every step."""
    return jnp.broadcast_to(jnp.asarray(chosen)[:, None], (len(chosen), steps))


def play(fed, rounds=ROUNDS, steps=STEPS, weights=None, chosen=None):
    """States after every round, stacked; `chosen` is `[rounds, m]`, and by default all clients take part."""
    chosen = np.broadcast_to(ALL, (rounds, CLIENTS)) if chosen is None else np.asarray(chosen)

    def run(state, who):
        state, value = fed.round(state, who, batches(who, steps), weights)
        return state, (state, value)

    start = fed.init({"kernel": jnp.zeros(SHAPE)}, jax.random.key(0))
    states, losses = jax.jit(lambda s, c: jax.lax.scan(run, s, c)[1])(start, chosen)
    return jax.tree.map(np.asarray, states), np.asarray(losses)
