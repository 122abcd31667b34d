"""Every method on a mesh, with axes that the compiler shards and with axes that types hold, against one device."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import core, prune, saliency
from compressjax.interpret import observe
from tests import helpers

KEY = jax.random.key(0)
PARAMS = {
    "a": {"kernel": helpers.array(0, (16, 8)), "bias": helpers.array(1, (8,))},
    "b": {"kernel": helpers.array(2, (8, 12)), "bias": helpers.array(3, (12,))},
}
X, Y = helpers.array(4, (24, 16)), helpers.array(5, (24, 12))
SPECS = {"kernel": PartitionSpec("data", "model"), "bias": PartitionSpec("model")}


def forward(params, x):
    hidden = jnp.tanh(x @ params["a"]["kernel"] + params["a"]["bias"][None])
    return hidden @ params["b"]["kernel"] + params["b"]["bias"][None]


def loss(params, batch):
    return jnp.mean(jnp.square(forward(params, batch[0]) - batch[1]))


def sharded_forward(params, x):
    """The same where types hold shardings: contracting a sharded axis has to say how its result lies."""
    out = PartitionSpec(None, "model")

    def product(x, w):
        return jnp.dot(jax.sharding.reshard(x, PartitionSpec()), w, out_sharding=out)

    hidden = jnp.tanh(product(x, params["a"]["kernel"]) + params["a"]["bias"][None])
    return product(hidden, params["b"]["kernel"]) + params["b"]["bias"][None]


def sharded_loss(params, batch):
    return jnp.mean(jnp.square(sharded_forward(params, batch[0]) - batch[1]))


def placed(mesh, params):
    return {
        name: {leaf: jax.device_put(x, NamedSharding(mesh, SPECS[leaf])) for leaf, x in layer.items()}
        for name, layer in params.items()
    }


TRAINED = {
    "gradual": prune.gradual(0.5, end=3, every=1),
    "gradual, global": prune.gradual(0.5, end=3, every=1, distribution="global"),
    "gradual, neurons of all": prune.gradual(0.5, end=3, every=1, distribution="global", pattern="neuron"),
    "static": prune.static(0.5, KEY),
    "set": prune.set_(0.5, KEY, end=7, every=1),
    "rigl": prune.rigl(0.5, KEY, end=7, every=1),
    "rigl, balanced": prune.rigl(0.5, KEY, end=7, every=1, pattern="balanced"),
    "ste": prune.ste(0.5, distribution="global"),
    "sr_ste": prune.sr_ste(pattern="2:4"),
    "topkast": prune.topkast(0.6, 0.3, every=1),
    "acdc": prune.acdc(0.5, begin=1, every=1, end=4),
    "movement": prune.movement(0.5, end=2, optimizer=optax.sgd(1.0)),
    "soft_movement": prune.soft_movement(penalty=100.0, optimizer=optax.sgd(0.1)),
    "l0": prune.l0(1000.0, KEY, end=2, optimizer=optax.sgd(0.1)),
    "l0, units": prune.l0(50.0, KEY, end=2, units=0, optimizer=optax.sgd(0.1)),
    "variational": prune.variational(8, KEY, end=3, warmup=2, initial=-3.0),
    "soft_threshold": prune.soft_threshold(initial=-2.0),
    "proximal_l1": prune.proximal_l1(0.01),
    "proximal_group": prune.proximal_group(0.5, axis=0),
    "proximal_nuclear": prune.proximal_nuclear(0.05),
}


SOME = ("gradual", "rigl", "sr_ste", "movement", "l0, units")


@functools.cache
def trained(kind, names):
    """What the network computes with after four steps, and what is stored, on one device or on a mesh.

    Every method has a network of its own, and all are one program: so there is one to compile, and not one for each.
    """
    method = core.chain(*(core.only(f"{name}/.*kernel", one) for name, one in TRAINED.items() if name in names))
    tx = core.as_optax(method, optax.sgd(0.1, momentum=0.9))
    lost = sharded_loss if kind == "explicit" else loss

    @jax.jit
    def step(params, state):
        def total(params):
            seen = method.view(params, state.compression)
            return sum(lost(seen[name], (X, Y)) for name in names)

        updates, state = tx.update(jax.grad(total)(params), state, params)
        return optax.apply_updates(params, updates), state

    def train(params):
        state = jax.jit(tx.init)(params)
        for _ in range(4):
            params, state = step(params, state)
        return jax.jit(method.view)(params, state.compression), jax.jit(method.encode)(params, state.compression)

    if kind == "single":
        return train(dict.fromkeys(names, PARAMS))
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType[kind.capitalize()],) * 2)
    with jax.set_mesh(mesh):
        return train(dict.fromkeys(names, placed(mesh, PARAMS)))


# The laws of methods have axes of the compiler, on two devices.
@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        pytest.param("explicit", SOME, id="explicit, some"),
        pytest.param("explicit", tuple(TRAINED), id="explicit", marks=pytest.mark.thorough),
        pytest.param("auto", tuple(TRAINED), id="auto", marks=pytest.mark.thorough),
    ],
)
def test_a_training_on_a_mesh_equals_one_on_a_device(kind, names):
    (wants, _), (gots, stored) = trained("single", names), trained(kind, names)
    for name in names:
        want, got = (core.values(tree[name]) for tree in (wants, gots))
        assert helpers.difference(core.materialize(stored[name]), gots[name]) == "", name
        assert any((np.asarray(x) == 0).any() for x in want.values()) or name == "proximal_nuclear"
        for path, x in want.items():
            np.testing.assert_allclose(got[path], x, rtol=1e-4, atol=1e-5, err_msg=f"{name}: {path}")


AT_ONCE = {
    "neurons, global": prune.one_shot(saliency.magnitude(), 0.5, "global", "neuron"),
    "neurons": prune.one_shot(saliency.magnitude(), 0.5, "uniform", "neuron"),
    "blocks": prune.one_shot(saliency.magnitude(), 0.5, "uniform", "block 4x4"),
    "2:4": prune.one_shot(saliency.magnitude(), pattern="2:4"),
    "balanced": prune.one_shot(saliency.magnitude(), 0.5, pattern="balanced"),
    "layer": prune.one_shot(saliency.magnitude(), 0.5, "global", "layer"),
    "wanda": prune.wanda(0.5),
    "wanda, 2:4": prune.wanda(pattern="2:4"),
    "sparsegpt": prune.sparsegpt(0.5),
    "lamp": prune.one_shot(saliency.lamp(), 0.5, "global"),
    "fpgm": prune.one_shot(saliency.fpgm(), 0.5, pattern="neuron"),
    "random": prune.one_shot(saliency.random(KEY), 0.5, "global"),
    "activation": prune.one_shot(saliency.activation(), 0.5),
    "wanda scores": prune.one_shot(saliency.wanda(), 0.5),
}
SCORES = {
    "snip": lambda f, lost: saliency.snip(lost, [(X, Y)]),
    "grasp": lambda f, lost: saliency.grasp(lost, [(X, Y)]),
    "gradient": lambda f, lost: saliency.gradient(lost, [(X, Y)]),
    "taylor": lambda f, lost: saliency.taylor(lost, [(X, Y)]),
    "fisher": lambda f, lost: saliency.fisher(lost, [(X, Y)]),
    "movement": lambda f, lost: saliency.movement(lost, [(X, Y)] * 2, optax.sgd(0.1)),
    "obd": lambda f, lost: saliency.obd(lost, [(X, Y)]),
    "obd, probes": lambda f, lost: saliency.obd(lost, [(X, Y)], probes=2, key=KEY),
    "obs": lambda f, lost: saliency.obs(lost, [(X, Y)], block=8, damping=0.01),
    "synflow": lambda f, lost: saliency.synflow(f, jnp.zeros((1, 16)), 0.5, steps=3),
}


CASES = [(name, "explicit") for name in [*AT_ONCE, *SCORES, "woodfisher"]] + [
    (name, "auto") for name in ("neurons, global", "2:4", "sparsegpt", "lamp")
]
# One of each way to read a tree: by rows, by groups, over all leaves, with statistics, with gradients of some order.
QUICK = ("neurons, global", "2:4", "sparsegpt", "lamp", "obs", "woodfisher")


@pytest.fixture(scope="module")
def stats():
    return observe(forward)(PARAMS, X)[1]


@pytest.mark.turns(12)
@pytest.mark.parametrize(("name", "kind"), helpers.quick(CASES, *((name, "explicit") for name in QUICK)))
def test_masks_on_a_mesh_are_those_of_a_device(name, kind, stats):
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType[kind.capitalize()],) * 2)

    def method(f, lost):
        if name == "woodfisher":
            return prune.woodfisher(lost, [(X, Y)], 0.5, block=8, damping=0.01)
        return AT_ONCE[name] if name in AT_ONCE else prune.one_shot(SCORES[name](f, lost), 0.5)

    def masks(method, params):
        return jax.jit(method.after_step)(params, jax.jit(method.init)(params), stats)[1].masks

    want = masks(method(forward, loss), PARAMS)
    with jax.set_mesh(mesh):
        typed = (sharded_forward, sharded_loss) if kind == "explicit" else (forward, loss)
        got = masks(method(*typed), placed(mesh, PARAMS))
    assert not all(mask.all() for mask in want.values())
    for path, mask in want.items():
        np.testing.assert_array_equal(got[path], mask, err_msg=path)
