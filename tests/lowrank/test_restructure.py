"""What factorizations of tensors share: layouts, stacks, what does not pay, and leaves without entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank, tensors
from tests import helpers

METHODS = {
    "tucker": lambda: lowrank.tucker(ranks=(2, 2)), "cp": lambda: lowrank.cp(rank=2),
    "tensor_train": lambda: lowrank.tensor_train(rank=1, cores=2), "kronecker": lowrank.kronecker,
    "block_diagonal": lambda: lowrank.block_diagonal(2),
    "low_rank_plus_sparse": lambda: lowrank.low_rank_plus_sparse(1, 0.05),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_layouts_are_followed(name):
    """A kernel stored [out, in] gives the transposed result."""
    w = helpers.array(0, (12, 8))
    node = core.compress({"w": w.T}, METHODS[name](), layout="[out, in]")["w"]
    plain = core.compress({"w": w}, METHODS[name]())["w"]
    assert type(node) is type(plain)
    np.testing.assert_allclose(node.materialize().T, plain.materialize(), atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_stacked_layers_are_factorized_one_by_one(name):
    layers = helpers.array(0, (3, 12, 8))
    axes = {"w": core.Layout((0,), (1,), (2,))}
    stack = core.compress({"w": layers}, {"w": METHODS[name]()}, layout=axes)["w"]
    one = core.compress({"w": layers[1]}, METHODS[name]())["w"]
    np.testing.assert_allclose(stack.materialize()[1], one.materialize(), atol=1e-5)
    assert stack.stacked() is not None


@pytest.mark.parametrize("name", METHODS)
def test_small_and_empty_leaves(name):
    params = {"w": helpers.array(0, (12, 8)), "one": jnp.ones((1, 1)), "scalar": jnp.ones(()), "none": jnp.ones((0, 8)),
              "zeros": jnp.zeros((12, 8))}  # fmt: skip
    with pytest.warns(core.LeftOutWarning, match=r"(?s)one  .*scalar  "):
        tree = core.compress(params, {".*": METHODS[name]()})
    assert isinstance(tree["w"], core.Node)
    assert tree["one"] is params["one"]
    assert not np.asarray(core.materialize(tree["zeros"])).any()


def test_traces_give_what_the_host_gives():
    for name in ("tucker", "tensor_train", "kronecker", "block_diagonal"):
        c, params = METHODS[name](), {"w": helpers.array(0, (3, 3, 4, 6))}
        traced = jax.jit(c.encode)(params, ())["w"]
        np.testing.assert_allclose(traced.materialize(), c.encode(params, ())["w"].materialize(), atol=1e-4)


def test_factors_prune_and_quantize():
    from compressjax import prune, quant

    tree = core.compress({"w": helpers.array(0, (3, 3, 8, 8))}, lowrank.tucker(ranks=(4, 4)))
    small = core.compress(tree, {".*/core": prune.magnitude(0.5), ".*/left|.*/right": quant.rtn(8)})["w"]
    assert (type(small.core), type(small.left)) == (tensors.Masked, tensors.Quantized)
    assert small.size_bits() < tree["w"].size_bits()
