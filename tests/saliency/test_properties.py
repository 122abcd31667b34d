"""The contract for every saliency: compiled or not, under other names, in 16 bits, and of leaves it cannot score."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, saliency
from compressjax.interpret.observing._statistics import of_rows
from compressjax.saliency._gradients import gradients
from tests import helpers

pytestmark = pytest.mark.loose

X, Y = helpers.array(0, (6, 4)), helpers.array(1, (6, 3))
NAMES = ("a", "b")
RENAMED = {"a": "y", "b": "x"}  # the leaves change their order too
KERNELS = {"a/kernel", "b/kernel"}
EVERY = KERNELS | {"a/scale"}
# What each method has something to say of, in a tree with two kernels, a scale and a counter.
SCORED = {
    "magnitude": EVERY, "random": EVERY, "lamp": EVERY, "gradient": EVERY, "snip": EVERY, "grasp": EVERY,
    "bit_cost": EVERY,
    "taylor": EVERY, "group_taylor": EVERY, "movement": EVERY, "fisher": EVERY, "obd": EVERY, "obs": EVERY,
    "fpgm": KERNELS, "synflow": KERNELS, "wanda": KERNELS, "activation": KERNELS, "batch_norm": {"a/scale", "a/kernel"},
}  # fmt: skip


def params(names=NAMES, dtype=jnp.float32):
    first, second = names
    tree = {
        first: {"kernel": helpers.array(2, (4, 5)), "scale": helpers.array(4, (5,))},
        second: {"kernel": helpers.array(5, (5, 3))},
    }
    return {**jax.tree.map(lambda x: x.astype(dtype), tree), "step": jnp.int32(7)}


def statistics(names=NAMES):
    """As `observe` gives them, for the kernels alone."""
    first, second = names
    hidden = jnp.tanh(X @ helpers.array(2, (4, 5)))
    return {f"{first}/kernel": of_rows(X, gram=False), f"{second}/kernel": of_rows(hidden, gram=False)}


def made(name, names=NAMES, seed=0):
    first, second = names

    def apply(p, x):
        wide = {layer: {leaf: v.astype(jnp.float32) for leaf, v in p[layer].items()} for layer in names}
        return jnp.tanh(x @ wide[first]["kernel"] * wide[first]["scale"]) @ wide[second]["kernel"]

    def loss(p, batch):
        return jnp.mean(jnp.square(apply(p, batch[0]) - batch[1]))

    key, batches = jax.random.key(seed), [(X, Y), (Y[:, :1] * X, Y)]
    makers = {
        "magnitude": saliency.magnitude,
        "bit_cost": saliency.bit_cost,
        "random": lambda: saliency.random(key),
        "lamp": saliency.lamp,
        "fpgm": saliency.fpgm,
        "gradient": lambda: saliency.gradient(loss, batches),
        "snip": lambda: saliency.snip(loss, batches),
        "grasp": lambda: saliency.grasp(loss, batches),
        "synflow": lambda: saliency.synflow(apply, X[:1], 0.5, steps=3),
        "taylor": lambda: saliency.taylor(loss, batches),
        "group_taylor": lambda: saliency.group_taylor(gradients(loss, params(names), batches[0])),
        "movement": lambda: saliency.movement(loss, batches, optax.sgd(0.1)),
        "fisher": lambda: saliency.fisher(loss, batches),
        "obd": lambda: saliency.obd(loss, batches),
        "obd by probes": lambda: saliency.obd(loss, batches, probes=2, key=key),
        "obs": lambda: saliency.obs(loss, batches, block=4, damping=1e-2),
        "wanda": saliency.wanda,
        "activation": saliency.activation,
        "batch_norm": lambda: saliency.batch_norm({f"{first}/kernel": f"{first}/scale"}),
    }
    return makers[name]().score


def assert_close(got, want, tolerance):
    assert set(got) == set(want)
    for path, x in want.items():
        np.testing.assert_allclose(got[path], x, rtol=0, atol=tolerance * float(np.abs(x).max()), err_msg=path)


# Random scores go by the leaf's name, on purpose; they are looked at below.
@pytest.mark.turns(2)
@pytest.mark.parametrize("name", sorted(set(SCORED) - {"random"}))
def test_contract(name):
    tree, stats = params(), statistics()
    compiled = jax.jit(made(name))
    found = compiled(tree, stats)
    assert set(found) == SCORED[name]
    assert all(x.shape == core.values(tree)[path].shape for path, x in found.items())
    assert helpers.difference(compiled(tree, stats), found) == ""

    # Not compiled, and under names that turn the order of the leaves around.
    names = tuple(RENAMED[layer] for layer in NAMES)
    other = made(name, names)(params(names), statistics(names))
    old = dict(zip(names, NAMES, strict=True))
    back = {f"{old[layer]}/{leaf}": x for layer, leaf, x in ((*path.split("/"), x) for path, x in other.items())}
    assert_close(back, found, 1e-5)

    half = params(dtype=jnp.bfloat16)
    narrow = compiled(half, stats)
    assert {x.dtype for x in narrow.values()} == {jnp.dtype("float32")}
    rounded = jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x, half)
    # Only what a gradient loses on its way into the parameters' type.
    assert_close(narrow, compiled(rounded, stats), 0.03)


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ["random", "obd by probes"])
def test_draws_follow_the_key(name):
    tree, stats = params(), statistics()
    first, other = (made(name, seed=seed)(tree, stats) for seed in (0, 1))
    compiled = jax.jit(made(name))
    found = compiled(tree, stats)
    assert_close(found, first, 1e-5)
    assert helpers.difference(compiled(tree, stats), found) == ""
    assert set(found) == EVERY
    assert all((first[path] != other[path]).any() for path in KERNELS)


def test_a_random_score_does_not_depend_on_the_other_leaves():
    alone = {"b": params()["b"]}
    score = made("random")
    np.testing.assert_array_equal(score(alone)["b/kernel"], score(params())["b/kernel"])


@pytest.mark.parametrize("name", ["wanda", "activation"])
def test_leaves_without_statistics_are_absent(name):
    stats = statistics()
    del stats["a/kernel"]
    found = made(name)(params(), stats)
    assert set(found) == {"b/kernel"}
    np.testing.assert_array_equal(found["b/kernel"], made(name)(params(), statistics())["b/kernel"])


def test_every_saliency_is_here():
    functions = {
        name
        for name in saliency.__all__
        if getattr(getattr(saliency, name), "__annotations__", {}).get("return") is saliency.Saliency
    }
    assert functions - {"on_inputs", "on_leaves"} == set(SCORED)
