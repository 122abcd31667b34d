"""NNX layers with a compression of their own: results of the dense ones, trainings of the tree-level method."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from compressjax import as_optax, core, lift, modules, prune, quant

X = jax.random.normal(jax.random.key(1), (6, 4, 4, 2))
Y = jax.random.randint(jax.random.key(2), (6,), 0, 3)
HALF = prune.magnitude(0.5)


class Net(nnx.Module):
    """A convolution, running statistics, and a dense layer; without a compression of Flax's own."""

    def __init__(self, compression, rngs):
        conv, linear = (nnx.Conv, nnx.Linear) if compression is None else (modules.NNXConv, modules.NNXLinear)
        own = {} if compression is None else {"compression": compression}
        self.conv = conv(2, 4, (3, 3), rngs=rngs, **own)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.head = nnx.List([linear(64, 3, rngs=rngs, **own)])

    def __call__(self, x):
        return self.head[0](nnx.relu(self.norm(self.conv(x))).reshape(x.shape[0], -1))


def train(net, compression, hand_over):
    # Not Adam: what comes before normalization has gradients that are rounding only, which it would blow up.
    optimizer = nnx.Optimizer(net, as_optax(compression, optax.sgd(0.1, 0.9)), wrt=nnx.Param)

    @nnx.jit
    def step(net, optimizer):
        def loss(net):
            return optax.softmax_cross_entropy_with_integer_labels(forward(net), Y).mean()

        def forward(net):
            if hand_over:
                return net(X)
            graph, params, rest = nnx.split(net, nnx.Param, ...)
            seen = compression.view(params, optimizer.opt_state.compression)
            return nnx.merge(graph, seen, rest)(X)

        optimizer.update(net, nnx.grad(loss)(net))
        if hand_over:
            modules.nnx_set_compression(net, optimizer.opt_state.compression)

    for _ in range(4):
        step(net, optimizer)
    return optimizer.opt_state.compression


@pytest.mark.parametrize(
    "method",
    # Nor Adam for the scores: its first step is of one size for all, and rounding would rank them.
    [prune.gradual(0.5, end=3, every=1), prune.movement(0.5, end=3, optimizer=optax.sgd(1.0)), quant.fake_quant(8)],
    ids=lambda m: m.name,
)
def test_a_model_of_layers_trains_as_the_tree_does(method):
    layers, dense = Net(method, nnx.Rngs(0)), Net(None, nnx.Rngs(0))
    train(layers, modules.nnx_compression_of(layers), True)
    train(dense, method, False)
    for a, b in zip(*(jax.tree.leaves(nnx.state(net, nnx.Param)) for net in (layers, dense)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert not np.allclose(layers.norm.mean.get_value(), 0)
    layers.eval()
    stored = modules.nnx_encode(layers)
    assert set(stored["rest"]) == {"norm"}
    nodes = [path for path, leaf in core.nodes(stored["params"]).items() if not isinstance(leaf, jax.Array)]
    assert nodes == ["conv/kernel", "head/0/kernel"]
    lifted = jax.jit(lift(modules.functional(layers)))
    np.testing.assert_allclose(lifted(stored, X), nnx.jit(layers.__class__.__call__)(layers, X), rtol=1e-4, atol=1e-4)


def test_a_plain_layer_is_the_dense_one():
    x = jax.random.normal(jax.random.key(0), (2, 3))
    ours, theirs = modules.NNXLinear(3, 4, rngs=nnx.Rngs(0)), nnx.Linear(3, 4, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(ours(x), theirs(x))
    assert modules.nnx_layers(ours) == {}
    with pytest.raises(ValueError, match="NNXLinear has no layer with a compression"):
        modules.nnx_compression_of(ours)
    with pytest.raises(ValueError, match=r"NNXLinear has no compression; make it with compression="):
        ours.update_compression()


def test_one_layer_is_a_model():
    layer, x = modules.NNXLinearGeneral(3, (2, 2), compression=HALF, rngs=nnx.Rngs(0)), jnp.ones((2, 3))
    assert modules.nnx_compression_of(layer) == HALF
    modules.nnx_set_compression(layer, HALF.init(nnx.state(layer, nnx.Param)))
    node = modules.nnx_encode(layer)["params"]["kernel"]
    assert int(node.mask.sum()) == 6
    np.testing.assert_allclose(layer(x), jnp.einsum("bi,ijk->bjk", x, node.materialize()), rtol=1e-5)


def test_tables_are_viewed_in_both_directions():
    layer = modules.NNXEmbed(6, 4, compression=HALF, rngs=nnx.Rngs(0))
    table = layer(jnp.arange(6))
    assert int((table == 0).sum()) == 12
    query = jax.random.normal(jax.random.key(1), (2, 4))
    np.testing.assert_allclose(layer.attend(query), query @ table.T, rtol=1e-5)


def test_wrappers_inside_a_model_are_layers_too():
    model = nnx.List([modules.NNXCompressed(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), HALF)])
    assert list(modules.nnx_layers(model)) == ["0/module"]
    assert modules.nnx_compression_of(model).select(nnx.state(model, nnx.Param)) == ("0/module/kernel",)


def test_what_cannot_be_joined():
    wrapped = modules.NNXCompressed(modules.NNXLinear(3, 3, compression=HALF, rngs=nnx.Rngs(0)), quant.fake_quant(8))
    with pytest.raises(ValueError, match="bring a compression each, at 'module'"):
        modules.nnx_compression_of(wrapped)
    layer = modules.NNXLinear(3, 3, compression=HALF, rngs=nnx.Rngs(0))
    other = HALF.init({"kernel": jnp.ones((4, 3))})
    with pytest.raises(ValueError, match=r"holds a state with shapes .*nnx\.vmap"):
        modules.nnx_set_compression(layer, other)
