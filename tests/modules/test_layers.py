"""Layers with a compression of their own: names and results of the dense ones, trainings of the tree-level method."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import as_optax, core, lift, modules, prune, quant

X = jax.random.normal(jax.random.key(1), (6, 8, 8, 2))
Y = jax.random.randint(jax.random.key(2), (6,), 0, 3)

HALF = prune.magnitude(0.5)


class Net(nn.Module):
    """A convolution and a dense layer; with `dense`, of Flax's own."""

    compression: core.Compression | None = None
    dense: bool = False

    @nn.compact
    def __call__(self, x):
        kind = nn if self.dense else modules
        own = {} if self.dense else {"compression": self.compression}
        x = nn.relu(kind.Conv(4, (3, 3), **own)(x)).reshape(x.shape[0], -1)
        return kind.Dense(3, **own)(x)


FAMILIES = {
    "gradual": prune.gradual(0.5, end=4, every=1),
    "topkast": prune.topkast(0.75, 0.5, every=2),
    # Not Adam, whose first step is of one size for all scores: rounding would then rank them.
    "movement": prune.movement(0.5, end=4, optimizer=optax.sgd(1.0)),
    "soft threshold": prune.soft_threshold(initial=-2.0),
    "quantized": quant.fake_quant(8),
}


def train(apply, compression, variables, put):
    tx = as_optax(compression, optax.adam(0.05))
    state = jax.jit(tx.init)(variables["params"])

    @jax.jit
    def step(variables, state):
        def loss(params):
            logits = apply({**variables, "params": params}, state.compression)
            return optax.softmax_cross_entropy_with_integer_labels(logits, Y).mean()

        grads = jax.grad(loss)(variables["params"])
        updates, state = tx.update(grads, state, variables["params"])
        return put({**variables, "params": optax.apply_updates(variables["params"], updates)}, state), state

    for _ in range(5):
        variables, state = step(variables, state)
    return variables, state.compression


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_of_layers_trains_as_the_tree_does(name):
    layers, dense = Net(FAMILIES[name]), Net(dense=True)
    start = jax.jit(dense.init)(jax.random.key(0), X)
    variables = jax.jit(layers.init)(jax.random.key(0), X)
    for a, b in zip(jax.tree.leaves(start["params"]), jax.tree.leaves(variables["params"]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    # Two programs may round their draws differently; from here on both train the same numbers.
    variables = {**variables, "params": start["params"]}
    joint = modules.compression_of(layers, X)
    ours, _ = train(
        lambda v, s: layers.apply(v, X), joint, variables, lambda v, s: modules.with_state(v, s.compression)
    )
    whole = FAMILIES[name]
    theirs, own = train(
        lambda v, s: dense.apply({"params": whole.view(v["params"], s)}, X), whole, start, lambda v, s: v
    )
    for a, b in zip(jax.tree.leaves(ours["params"]), jax.tree.leaves(theirs["params"]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    stored = modules.encode(ours, joint)
    kinds = [type(node) for node in core.nodes(stored["params"]).values()]
    assert kinds == [type(node) for node in core.nodes(whole.encode(theirs["params"], own)).values()] != []
    lifted = jax.jit(lift(modules.plain(layers.apply)))
    np.testing.assert_allclose(lifted(stored, X), jax.jit(layers.apply)(ours, X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "method",
    [prune.rigl(0.5, jax.random.key(0), end=5, every=2), prune.l0(0.1, jax.random.key(0), end=4)],
    ids=["rigl", "l0"],
)
def test_random_families_train_and_keep_their_promises(method):
    layers = Net(method)
    variables = jax.jit(layers.init)(jax.random.key(0), X)
    joint = modules.compression_of(layers, X)
    after, state = train(
        lambda v, s: layers.apply(v, X), joint, variables, lambda v, s: modules.with_state(v, s.compression)
    )
    seen = jax.jit(lambda v, s: Net(dense=True).apply({"params": joint.view(v["params"], s)}, X))(after, state)
    np.testing.assert_allclose(jax.jit(layers.apply)(after, X), seen, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(after["params"]["Dense_0"]["kernel"], variables["params"]["Dense_0"]["kernel"])


def test_a_plain_layer_is_the_dense_one():
    x = jax.random.normal(jax.random.key(0), (2, 3))
    layer = modules.Dense(4)
    variables = layer.init(jax.random.key(0), x)
    assert set(variables) == {"params"}
    np.testing.assert_array_equal(layer.apply(variables, x), nn.Dense(4).apply(variables, x))


def test_tables_are_viewed_in_both_directions():
    layer = modules.Embed(6, 4, compression=core.only(".*", prune.magnitude(0.5)))
    ids = jnp.arange(6)
    variables = layer.init(jax.random.key(0), ids)
    table = layer.apply(variables, ids)
    assert int((table == 0).sum()) == 12
    query = jax.random.normal(jax.random.key(1), (2, 4))
    np.testing.assert_allclose(layer.apply(variables, query, method="attend"), query @ table.T, rtol=1e-5)
    whole = modules.Embed(6, 4)
    np.testing.assert_allclose(
        modules.plain(layer.apply)({"params": variables["params"]}, query, method="attend"),
        whole.apply({"params": variables["params"]}, query, method="attend"),
    )


def test_a_forward_pass_updates_the_state_when_asked():
    layer, x = modules.Dense(4, compression=prune.gradual(0.5, end=1, every=1)), jnp.ones((2, 3))
    variables = layer.init(jax.random.key(0), x)
    assert bool(variables["compression"]["masks"]["kernel"].all())
    _, changed = layer.apply(variables, x, update=True, mutable=["compression"])
    assert int(changed["compression"]["masks"]["kernel"].sum()) == 6
    with pytest.raises(ValueError, match="mutable"):
        layer.apply(variables, x, update=True)
    with pytest.raises(ValueError, match="compression"):
        layer.apply({"params": variables["params"]}, x)


def test_general_products_are_viewed():
    x = jax.random.normal(jax.random.key(0), (2, 3))
    layer = modules.DenseGeneral((2, 2), compression=HALF)
    variables = layer.init(jax.random.key(0), x)
    kernel = HALF.view(variables["params"], HALF.init(variables["params"]))["kernel"]
    assert int((kernel == 0).sum()) == 6
    np.testing.assert_allclose(layer.apply(variables, x), jnp.einsum("bi,ijk->bjk", x, kernel), rtol=1e-5)
