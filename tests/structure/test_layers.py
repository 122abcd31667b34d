"""Dropped blocks and layers against networks written without them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, measure, structure
from compressjax.core import nodes
from tests.interpret import cutting
from tests.interpret.test_narrow import IMAGES, TOKENS, linen

DRAW = np.random.default_rng(0)
SCALES = (1.0, 0.01, 2.0, 0.1)
CHAIN = {f"b{i}": {"w": jnp.asarray(s * DRAW.normal(size=(3, 3)), jnp.float32)} for i, s in enumerate(SCALES)}
X = jnp.ones((2, 3))


def chain(p, x, names=("b0", "b1", "b2", "b3")):
    for name in names:
        x = x + jnp.tanh(x @ p[name]["w"])
    return x


def stacked(p, x):
    return jax.lax.scan(lambda h, w: (h + jnp.tanh(h @ w), None), x, p["w"], length=p["w"].shape[0])[0] * p["out"]


STACK = {"w": jnp.stack([CHAIN[f"b{i}"]["w"] for i in range(4)]), "out": jnp.float32(2.0)}


def test_blocks_that_change_least_are_dropped():
    small = structure.drop_blocks(chain, CHAIN, X, pattern="(b.)/.*", keep=2)
    assert small.kept == ("b0", "b2")
    assert sorted(small.params) == ["b0/w", "b2/w"]
    np.testing.assert_allclose(small.fn(small.params, X), chain(CHAIN, X, ("b0", "b2")), rtol=1e-5)
    full = chain(CHAIN, X)
    without = chain(CHAIN, X, ("b0", "b1", "b2"))
    assert small.scores["b3"] == pytest.approx(float(((full - without) ** 2).sum() / (full**2).sum()), rel=1e-4)


def test_a_residual_block_with_batch_norm():
    fn, params, x = linen(cutting.ResNet(), IMAGES)
    small = structure.drop_blocks(fn, params, x, pattern=r"[^/]*/(Block_0)/.*|[^/]*/(?:Block_1)/none", keep=["Block_0"])
    assert set(small.params) == set(nodes(params))
    pattern = r"[^/]*/(Block_0|Conv_0x)/.*"
    with pytest.raises(ValueError, match="1 blocks, and at least one"):
        structure.drop_blocks(fn, params, x, pattern=pattern, keep=0)


def test_a_block_that_is_no_branch_is_refused():
    fn, params, x = linen(cutting.ResNet(), IMAGES)
    with pytest.raises(ValueError, match="residual branch"):
        structure.drop_blocks(fn, params, x, pattern=r"[^/]*/(Block_\d)/.*", keep=["Block_0"])


def test_fewer_operations_run():
    small = structure.drop_blocks(chain, CHAIN, X, pattern="(b.)/.*", keep=1)
    assert measure.flops(small.fn, small.params, X) == pytest.approx(measure.flops(chain, CHAIN, X) / 4)


def test_layers_of_a_stack():
    small = structure.drop_layers(stacked, STACK, X, keep=2)
    assert small.kept == (0, 2)
    assert small.params["w"].shape == (2, 3, 3)
    np.testing.assert_allclose(small.fn(small.params, X), 2 * chain(CHAIN, X, ("b0", "b2")), rtol=1e-5)
    by_blocks = structure.drop_blocks(chain, CHAIN, X, pattern="(b.)/.*", keep=2)
    np.testing.assert_allclose(list(small.scores.values()), list(by_blocks.scores.values()), rtol=1e-4)


def test_layers_by_norm_and_by_place():
    by_norm = structure.drop_layers(stacked, STACK, X, keep=1, saliency="l2")
    assert by_norm.kept == (2,)
    placed = structure.drop_layers(stacked, STACK, X, keep=[3, 1], saliency="l2")
    np.testing.assert_allclose(placed.fn(placed.params, X), 2 * chain(CHAIN, X, ("b1", "b3")), rtol=1e-5)


def test_layers_of_a_transformer():
    params = cutting.llama(layers=2)
    small = structure.drop_layers(cutting.llama_apply, params, TOKENS, keep=[1])
    want = {**params, "layers": jax.tree.map(lambda x: np.asarray(x)[[1]], params["layers"])}
    got = jax.jit(small.fn)(small.params, TOKENS)
    np.testing.assert_allclose(got, jax.jit(cutting.llama_apply)(want, TOKENS), rtol=1e-5, atol=1e-5)


def test_stacks_are_told_from_loops_over_data():
    groups = interpret.couplings(stacked)(STACK, X)
    assert [(g.name, g.units) for g in structure.stacks(groups)] == [("w:0", 4)]

    def over_time(p, x):
        return jax.lax.scan(lambda h, row: (jnp.tanh(h + row), None), x[0], x + p["t"])[0]

    assert structure.stacks(interpret.couplings(over_time)({"t": jnp.ones((2, 3))}, X)) == []

    def collected(p, x):
        return jax.lax.scan(lambda h, w: (h @ w, h.sum()), x, p["w"])

    assert structure.stacks(interpret.couplings(collected)(STACK, X)) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: structure.drop_layers(chain, CHAIN, X, keep=1), "0 stacks.*drop_blocks"),
        (lambda: structure.drop_layers(stacked, STACK, X, keep=0), "4 layers, and at least one"),
        (lambda: structure.drop_layers(stacked, STACK, X, keep=[7]), "layers are"),
        (lambda: structure.drop_layers(stacked, STACK, X, keep=1, stack="z"), "stack='z' is none of w:0"),
        (lambda: structure.drop_blocks(chain, CHAIN, X, pattern="b./w", keep=1), "no group"),
        (lambda: structure.drop_blocks(chain, CHAIN, X, pattern="(z)", keep=1), "matches no path"),
        (lambda: structure.drop_blocks(chain, CHAIN, X, pattern="(b.)/w", keep=["b9"]), "blocks are"),
    ],
)
def test_bad_calls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
