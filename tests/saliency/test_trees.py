"""Every saliency on plain trees, Linen and NNX parameters, and 16-bit floats: the leaf's shape, float32, finite."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from compressjax import core, saliency
from compressjax.interpret import observe
from tests import helpers

pytestmark = pytest.mark.loose

X, Y = helpers.array(0, (6, 4)), jnp.array([0, 1, 2, 0, 1, 2])


class Net(nn.Module):
    """Two layers."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(5)(x)))


def plain():
    params = {
        "a": {"kernel": helpers.array(1, (4, 5)), "bias": jnp.zeros(5)},
        "b": {"kernel": helpers.array(2, (5, 3))},
    }
    return params, lambda p, x: jax.nn.relu(x @ p["a"]["kernel"] + p["a"]["bias"]) @ p["b"]["kernel"]


def half():
    params, apply = plain()
    return jax.tree.map(lambda x: x.astype(jnp.bfloat16), params), lambda p, x: apply(p, x.astype(jnp.bfloat16))


def linen():
    net = Net()
    return net.init(jax.random.key(0), X)["params"], lambda p, x: net.apply({"params": p}, x)


def with_nnx():
    net = nnx.Sequential(nnx.Linear(4, 5, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(5, 3, rngs=nnx.Rngs(1)))
    graph, state = nnx.split(net)
    return state, lambda p, x: nnx.merge(graph, p)(x)


MAKERS = {
    "magnitude": lambda loss, apply: saliency.magnitude(),
    "random": lambda loss, apply: saliency.random(jax.random.key(0)),
    "lamp": lambda loss, apply: saliency.lamp(),
    "fpgm": lambda loss, apply: saliency.fpgm(),
    "gradient": lambda loss, apply: saliency.gradient(loss, [(X, Y)]),
    "snip": lambda loss, apply: saliency.snip(loss, [(X, Y)]),
    "grasp": lambda loss, apply: saliency.grasp(loss, [(X, Y)]),
    "synflow": lambda loss, apply: saliency.synflow(apply, X[:1], 0.5, steps=3),
    "taylor": lambda loss, apply: saliency.taylor(loss, [(X, Y)]),
    "movement": lambda loss, apply: saliency.movement(loss, [(X, Y)] * 2, optax.sgd(0.1)),
    "fisher": lambda loss, apply: saliency.fisher(loss, [(X, Y)]),
    "obd": lambda loss, apply: saliency.obd(loss, [(X, Y)], probes=2, key=jax.random.key(1)),
    "obs": lambda loss, apply: saliency.obs(loss, [(X, Y)], block=4, damping=1e-3),
    "wanda": lambda loss, apply: saliency.wanda(),
    "activation": lambda loss, apply: saliency.activation(),
    "bit_cost": lambda loss, apply: saliency.bit_cost(),
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "tree",
    [half, with_nnx, *(pytest.param(tree, marks=pytest.mark.thorough) for tree in (plain, linen))],
    ids=["bfloat16", "nnx", "plain", "linen"],
)
def test_scores_have_the_leaves_shapes(tree):
    params, apply = tree()
    flat = core.values(params)

    def loss(params, batch):
        return optax.softmax_cross_entropy_with_integer_labels(
            apply(params, batch[0]).astype(jnp.float32), batch[1]
        ).mean()

    _, stats = observe(apply)(params, X)
    for name, make in MAKERS.items():
        found = make(loss, apply).score(params, stats)
        assert {path for path, x in flat.items() if x.ndim == 2} <= set(found), name
        for path, scores in found.items():
            assert scores.shape == flat[path].shape, name
            assert scores.dtype == jnp.float32, name
            assert np.isfinite(np.asarray(scores)).all(), name


def test_every_saliency_is_here():
    made = {name for name in saliency.__all__ if name in MAKERS}
    functions = {
        name
        for name in saliency.__all__
        if getattr(getattr(saliency, name), "__annotations__", {}).get("return") is saliency.Saliency
    }
    assert functions - made == {"batch_norm", "group_taylor", "on_inputs", "on_leaves"}
