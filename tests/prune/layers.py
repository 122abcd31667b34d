"""Single layers with correlated inputs, and the error after pruning."""

import jax.numpy as jnp
import numpy as np

from compressjax import core
from compressjax.interpret import observe


def apply(params, x):
    """One dense layer."""
    return x @ params["kernel"]


def correlated(seed, rows=200, inputs=24, outputs=10):
    """Inputs with few directions that matter and very different norms, and a kernel."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(inputs, inputs)) * np.logspace(0, -2, inputs)[:, None]
    x = rng.normal(size=(rows, inputs)) @ mixing * np.exp(rng.normal(size=inputs))
    return jnp.asarray(x, jnp.float32), {"kernel": jnp.asarray(rng.normal(size=(inputs, outputs)), jnp.float32)}


def pruned(method, params, x):
    """The node that a method leaves."""
    _, stats = observe(apply)(params, x)
    return core.compress(params, {".*": method}, stats, on_unchanged="ignore")["kernel"]


def error(node, params, x):
    """Squared change of the layer's outputs, in float64."""
    change = np.asarray(node.materialize(), np.float64) - np.asarray(params["kernel"], np.float64)
    return float(np.sum((np.asarray(x, np.float64) @ change) ** 2))
