"""Dropped blocks and layers against networks written without them."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from compressjax import interpret, measure, structure
from compressjax.core import nodes
from compressjax.structure._layers import blocks, stacks
from tests.interpret import cutting
from tests.interpret.narrowing.test_narrow import IMAGES, TOKENS, linen
from tests.structure import families, nnx_nets

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


def test_paths_are_grouped_by_block():
    tree = {"b_0": {"v": jnp.ones(1), "w": jnp.ones(1)}, "out": jnp.ones(1)}
    assert blocks(tree, r"(b_[0-9]+)/.*") == {"b_0": ["b_0/v", "b_0/w"]}


def test_blocks_that_change_least_are_dropped():
    small = structure.drop_blocks(chain, CHAIN, X, pattern="(b.)/.*", keep=2)
    assert small.kept == ("b0", "b2")
    assert sorted(small.params) == ["b0/w", "b2/w"]
    np.testing.assert_allclose(small.fn(small.params, X), chain(CHAIN, X, ("b0", "b2")), rtol=1e-5)
    full = chain(CHAIN, X)
    without = chain(CHAIN, X, ("b0", "b1", "b2"))
    assert small.scores["b3"] == pytest.approx(float(((full - without) ** 2).sum() / (full**2).sum()), rel=1e-4)


class LinenBlocks(nn.Module):
    """Residual blocks of one width with BatchNorm; some of them can be left out."""

    places: tuple[int, ...] = (0, 1, 2)

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        for place in self.places:
            x = cutting.Block(4, 5, name=f"block{place}")(x)
        return nn.Dense(3)(x.mean((1, 2)))


class NnxBlocks(nnx.Module):
    """The same in NNX."""

    def __init__(self, rngs):
        self.stem, self.out = nnx.Conv(1, 4, (3, 3), rngs=rngs), nnx.Linear(4, 3, rngs=rngs)
        self.blocks = nnx.List([nnx_nets.Block(4, 5, 4, 1, rngs) for _ in range(3)])

    def __call__(self, x, places=(0, 1, 2)):
        x = nnx.relu(self.stem(x))
        for place in places:
            x = self.blocks[place](x)
        return self.out(x.mean((1, 2)))


def linen_blocks():
    fn, params, x = linen(LinenBlocks(), IMAGES)
    return fn, params, x, r"[^/]*/block(\d)/.*", lambda p, x, places: LinenBlocks(places).apply(p, x)


def nnx_blocks():
    fn, state = nnx_nets.split(NnxBlocks)
    return fn, state, IMAGES, r"blocks/(\d)/.*", fn


@pytest.mark.turns(2)
@pytest.mark.parametrize("make", [linen_blocks, nnx_blocks])
def test_a_residual_block_with_batch_norm(make):
    fn, params, x, pattern, without = make()
    run = jax.jit(without, static_argnums=2)
    full = run(params, x, (0, 1, 2))
    lost = [float(((full - run(params, x, rest)) ** 2).sum() / (full**2).sum()) for rest in ((1, 2), (0, 2), (0, 1))]
    small = structure.drop_blocks(fn, params, x, pattern=pattern, keep=2)
    np.testing.assert_allclose([small.scores[name] for name in "012"], lost, rtol=1e-4)
    places = tuple(int(name) for name in small.kept)
    assert places == tuple(place for place in range(3) if place != np.argmin(lost))
    np.testing.assert_allclose(jax.jit(small.fn)(small.params, x), run(params, x, places), rtol=1e-5, atol=1e-5)
    assert min(lost) > 1e-4  # with the block the results would be others
    gone = [path for path in nodes(params) if re.fullmatch(pattern.replace(r"\d", str(np.argmin(lost))), path)]
    assert len(gone) == 10
    assert set(small.params) == set(nodes(params)) - set(gone)


def test_the_only_block_stays():
    fn, params, x = linen(cutting.ResNet(), IMAGES)
    with pytest.raises(ValueError, match="there are 1 blocks; keep at least one"):
        structure.drop_blocks(fn, params, x, pattern=r"[^/]*/(Block_0)/.*", keep=0)


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


@pytest.mark.thorough
def test_layers_of_a_scan_in_linen():
    fn, params, x = families.NETS["llama", "linen"]()
    small = structure.drop_layers(fn, params, x, keep=[1])
    stack = jax.tree.map(lambda w: np.asarray(w)[[1]], params["params"]["layers"])
    shorter = {"params": {**params["params"], "layers": stack}}
    assert jax.tree.map(jnp.shape, small.params) == jax.tree.map(jnp.shape, shorter)
    want = jax.jit(families.Llama(layers=1).apply)(shorter, x)
    np.testing.assert_allclose(jax.jit(small.fn)(small.params, x), want, rtol=1e-5, atol=1e-5)


def test_stacks_are_told_from_loops_over_data():
    groups = interpret.couplings(stacked)(STACK, X)
    assert [(g.name, g.units) for g in stacks(groups)] == [("w:0", 4)]

    def over_time(p, x):
        return jax.lax.scan(lambda h, row: (jnp.tanh(h + row), None), x[0], x + p["t"])[0]

    assert stacks(interpret.couplings(over_time)({"t": jnp.ones((2, 3))}, X)) == []

    def collected(p, x):
        return jax.lax.scan(lambda h, w: (h @ w, h.sum()), x, p["w"])

    assert stacks(interpret.couplings(collected)(STACK, X)) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: structure.drop_layers(chain, CHAIN, X, keep=1), "0 stacks.*drop_blocks"),
        (lambda: structure.drop_layers(stacked, STACK, X, keep=0), "4 layers; keep at least one"),
        (lambda: structure.drop_layers(stacked, STACK, X, keep=[7]), "layers are"),
        (lambda: structure.drop_layers(stacked, STACK, X, keep=1, stack="z"), "stack='z' is not one of w:0"),
        (lambda: structure.drop_blocks(chain, CHAIN, X, pattern="b./w", keep=1), "no group"),
        (lambda: structure.drop_blocks(chain, CHAIN, X, pattern="(z)", keep=1), "matches no path"),
        (lambda: structure.drop_blocks(chain, CHAIN, X, pattern="(b.)/w", keep=["b9"]), "blocks are"),
    ],
)
def test_bad_calls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
