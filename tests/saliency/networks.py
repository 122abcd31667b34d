"""A tiny bias-free and a tiny biased ReLU network, with a squared loss and data."""

import jax
import jax.numpy as jnp
import numpy as np


def network(params, x):
    """Dense layers in the order of their names, ReLU between them."""
    names = sorted(params)
    for name in names:
        x = x @ params[name]["kernel"]
        if "bias" in params[name]:
            x = x + params[name]["bias"][None]
        x = jax.nn.relu(x) if name != names[-1] else x
    return x


def smooth(params, x):
    """The same with tanh, so that second derivatives exist everywhere."""
    for name in sorted(params):
        x = jnp.tanh(x @ params[name]["kernel"])
    return x


def loss(params, batch):
    """Mean squared error of `smooth`."""
    x, y = batch
    return jnp.mean((smooth(params, x) - y) ** 2)


def make(widths=(4, 5, 3), seed=0, bias=False):
    """Parameters of a network."""
    rng = np.random.default_rng(seed)
    params = {}
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        params[f"layer_{i}"] = {"kernel": jnp.asarray(rng.normal(size=(a, b)) / np.sqrt(a), jnp.float32)}
        if bias:
            params[f"layer_{i}"]["bias"] = jnp.asarray(rng.normal(size=b), jnp.float32)
    return params


def batches(count=2, size=6, widths=(4, 5, 3), seed=1):
    """Pairs of inputs and targets."""
    rng = np.random.default_rng(seed)

    def draw(width):
        return jnp.asarray(rng.normal(size=(size, width)), jnp.float32)

    return [(draw(widths[0]), draw(widths[-1])) for _ in range(count)]


def total(params, data):
    """Mean loss over batches."""
    return sum(loss(params, batch) for batch in data) / len(data)
