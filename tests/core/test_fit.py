"""What fits is taken, what does not is listed or refused, and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, layouts, lowrank, observe, prune, quant, saliency, share
from compressjax.core import LeftOutWarning, UnfitError
from tests import helpers

# One leaf fits all methods. Of the others, each fails some: no axis that 4 or 6 divides, no product, one axis.
PARAMS = {
    "fits": helpers.array(0, (12, 8)),
    "odd": helpers.array(1, (13, 8)),
    "table": helpers.array(2, (12, 8)),
    "bias": helpers.array(3, (8,)),
}


def seen():
    x = helpers.array(4, (30, 12))
    return observe(lambda p, x: x @ p["fits"] + jnp.pad(x, ((0, 0), (0, 1))) @ p["odd"] + p["bias"][None])(PARAMS, x)[1]


CASES = {
    "2:4": (lambda: prune.magnitude(pattern="2:4"), False, {"odd", "bias"}),
    "2:4 by scores": (lambda: prune.one_shot(saliency.magnitude(), pattern="2:4"), False, {"odd", "bias"}),
    "blocks": (lambda: prune.magnitude(0.5, pattern="block 2x2"), False, {"odd", "bias"}),
    "neurons": (lambda: prune.magnitude(0.5, pattern="neuron"), False, {"bias"}),
    "groups": (lambda: quant.rtn(4, granularity=6), False, {"odd", "bias"}),
    "groups in training": (lambda: quant.fake_quant(4, granularity=6), False, {"odd", "bias"}),
    "groups or divisors": (lambda: quant.rtn(4, granularity=6, fallback="divisor"), False, {"bias"}),
    "channels": (lambda: quant.rtn(8), False, {"bias"}),
    "low rank": (lambda: lowrank.svd(rank=1), False, {"bias"}),
    "wanda": (lambda: prune.wanda(0.5), True, {"table", "bias"}),
    "sparsegpt 2:4": (lambda: prune.sparsegpt(pattern="2:4"), True, {"odd", "table", "bias"}),
    "scores of inputs": (lambda: prune.one_shot(saliency.wanda(), 0.5), True, {"table", "bias"}),
    "static activations": (lambda: quant.rtn(8, activation="static"), True, {"table", "bias"}),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", CASES)
def test_what_does_not_fit_is_left_out_and_listed(name):
    make, reads, left = CASES[name]
    stats = seen() if reads else None
    with pytest.warns(LeftOutWarning) as caught:
        tree = core.compress(PARAMS, {".*": make()}, stats, on_unchanged="ignore")
    for path, x in PARAMS.items():
        assert core.is_node(tree[path]) == (path not in left), path
        if path in left:
            assert tree[path] is x
            assert f"  {path}" in str(caught[0].message)
    with pytest.raises(UnfitError) as error:
        core.compress(PARAMS, {".*": make()}, stats, unfit="raise")
    assert set(error.value.reasons) <= left
    fit = core.fit(PARAMS, {".*": make()}, stats)
    assert set(fit.left) == left
    assert set(fit.taken) == set(PARAMS) - left
    # The compression of the fit works by itself, as in a training run.
    state = fit.compression.init(PARAMS)
    if reads:
        state = fit.compression.after_step(PARAMS, state, stats)[1]
    assert helpers.difference(core.materialize(fit.compression.encode(PARAMS, state)), core.materialize(tree)) == ""


def test_a_rule_of_which_nothing_fits_is_refused():
    with pytest.raises(ValueError, match=r"no leaf of '\(odd\|bias\)' fits:\n  bias .* no input axis\n  odd   axis 0"):
        core.compress(PARAMS, {"(odd|bias)": prune.magnitude(pattern="2:4"), ".*": quant.rtn(8)})
    with pytest.raises(ValueError, match=r"unfit='no'; use 'skip'"):
        core.fit(PARAMS, {".*": quant.rtn(8)}, unfit="no")


def test_a_leaf_is_compressed_once_when_another_turns_out_not_to_fit():
    calls = []

    def halve(path, x, stats):
        calls.append(path)
        if path == "odd":
            raise UnfitError("halve", {path: "it is odd"})
        return x / 2

    with pytest.warns(LeftOutWarning):
        tree = core.compress(PARAMS, {".*": core.from_encode("halve", halve)})
    np.testing.assert_array_equal(tree["fits"], PARAMS["fits"] / 2)
    assert sorted(calls) == ["bias", "fits", "odd", "table"]
    # A method that acts twice on one leaf reads other values the second time.
    calls.clear()
    tree = core.compress({"fits": PARAMS["fits"]}, {".*": core.chain(*[core.from_encode("halve", halve)] * 2)})
    np.testing.assert_array_equal(tree["fits"], PARAMS["fits"] / 4)


def test_rules_of_the_same_method_are_told_apart():
    with pytest.raises(ValueError, match="magnitude.*changed no value and saved no byte of odd"):
        core.compress(PARAMS, {"fits": prune.magnitude(0.5), "odd": prune.magnitude(0.0)})


def test_tied_weights_are_compressed_once_and_stay_tied():
    table = helpers.array(0, (6, 4))
    params = {"a": table, "head": {"kernel": table}, "z": jnp.array(table)}
    tree = core.compress(params, {".*": quant.rtn(8)})
    assert tree["a"] is tree["head"]["kernel"]
    assert tree["a"] is not tree["z"]
    fit = core.fit(params, {".*": quant.rtn(8)})
    assert fit.tied == {"head/kernel": "a"}
    assert fit.taken["head/kernel"].endswith("tied to a")
    # The one that products read decides the axes.
    f = lambda p, ids: p["a"][ids] @ p["head"]["kernel"].T  # noqa: E731
    tree = core.compress(params, quant.rtn(8), layout=layouts(f)(params, jnp.arange(3)))
    assert not core.is_node(tree["a"])  # it is only read by row: no product of this path
    tree = core.compress(params, {"a|head/kernel": quant.rtn(8)}, layout=layouts(f)(params, jnp.arange(3)))
    assert tree["a"] is tree["head"]["kernel"]
    assert tree["a"].scale.shape == (6, 1)
    # Rules of their own are kept apart.
    tree = core.compress(params, {"a": quant.rtn(8), "head.*": quant.rtn(4)})
    assert (tree["a"].bits, tree["head"]["kernel"].bits) == (8, 4)


def test_groups_fall_back():
    for fallback, groups in (("divisor", 2), ("channel", 1)):
        node = core.compress({"w": helpers.array(0, (20, 3))}, {"w": quant.rtn(4, granularity=16, fallback=fallback)})
        assert node["w"].scale.shape == (groups, 3)
    prime = core.compress({"w": helpers.array(0, (17, 3))}, {"w": quant.rtn(4, granularity=16, fallback="divisor")})
    assert prime["w"].scale.shape == (1, 3)
    with pytest.raises(ValueError, match="'w': group size 16 does not divide the 20 inputs"):
        core.compress({"w": jnp.ones((20, 3))}, {"w": quant.rtn(4, granularity=16, fallback="raise")})
    with pytest.raises(ValueError, match="fallback='none' must be one of"):
        quant.rtn(4, fallback="none")


def test_without_a_selector_a_traced_function_decides():
    """Of leaves with two axes, only those that are multiplied with data are compressed."""
    params = {"w": jnp.ones((8, 8)), "positions": jnp.ones((4, 8)), "gains": jnp.ones((2, 8)), "b1": jnp.ones((2, 8))}
    f = lambda p, x: ((x + p["positions"]) * p["gains"][:1] + p["b1"][1:]) @ p["w"]  # noqa: E731
    x = helpers.array(0, (4, 8))
    _, stats = observe(f)(params, x)
    for given in ({"layout": layouts(f)(params, x)}, {"stats": stats}):
        tree = core.compress(params, quant.rtn(8), **given)
        assert [path for path, leaf in tree.items() if core.is_node(leaf)] == ["w"]
        assert core.fit(params, quant.rtn(8), **given).taken == {"w": "rtn(int8, granularity=channel)"}


METHODS = {
    "wanda": lambda: prune.wanda(0.5),
    "wanda 2:4": lambda: prune.wanda(pattern="2:4"),
    "sparsegpt": lambda: prune.sparsegpt(0.5),
    "sparsegpt 2:4": lambda: prune.sparsegpt(pattern="2:4"),
    "one shot": lambda: prune.one_shot(saliency.wanda(), 0.5, pattern="balanced"),
    "magnitude 2:4": lambda: prune.magnitude(pattern="2:4"),
    "neurons": lambda: prune.magnitude(0.5, pattern="neuron"),
    "channels": lambda: prune.magnitude(0.5, pattern="channel"),
    "blocks": lambda: prune.magnitude(0.5, pattern="block 2x4"),
    "grid": lambda: quant.rtn(4),
    "grid, groups": lambda: quant.rtn(4, granularity=4),
    "grid, static": lambda: quant.rtn(8, activation="static"),
    "grid, affine, clipped": lambda: quant.rtn(3, symmetric=False, clip="mse"),
    "grid, compensated": lambda: quant.gptq(4),
    "grid, compensated, groups": lambda: quant.gptq(4, granularity=4),
    "grid, scaled inputs": quant.smooth_quant,
    "grid in training": lambda: quant.fake_quant(4, granularity=4),
    "low rank": lambda: lowrank.svd(rank=2),
}
SQUARE = {  # the second of each pair stores the same kernel in another order
    "[out, in]": (lambda w: w.T, lambda w, x: x @ w.T, (8, 8), (20, 8)),
    "[in, heads, size]": (lambda w: w.reshape(8, 2, 4), lambda w, x: jnp.einsum("ni,ihd->nhd", x, w), (8, 8), (20, 8)),
    "[heads, size, in]": (
        lambda w: w.T.reshape(2, 4, 8), lambda w, x: jnp.einsum("ni,hdi->nhd", x, w), (8, 8), (20, 8),
    ),
    "OIHW": (
        lambda w: w.transpose(3, 2, 0, 1),
        lambda w, x: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "OIHW", "NHWC")),
        (2, 2, 4, 8), (3, 3, 3, 4),
    ),
}  # fmt: skip


def standard(w, x):
    """The function of a kernel [in, out] or [h, w, in, out]."""
    if w.ndim == 2:
        return x @ w
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "stored", [pytest.param(n, marks=() if n in ("[out, in]", "OIHW") else pytest.mark.thorough) for n in SQUARE]
)
def test_methods_give_the_same_function_for_every_stored_order(stored):
    """Sizes tell nothing here: kernels are square, or 2 x 2 windows of 4 channels."""
    move, fn, shape, data = SQUARE[stored]
    uneven = np.asarray(helpers.array(6, data)) * np.arange(1.0, data[-1] + 1, dtype=np.float32) ** 2
    w, x = helpers.array(5, shape), jnp.asarray(uneven)
    first, second = {"w": w}, {"w": move(w)}
    stats = observe(lambda p, x: standard(p["w"], x))(first, x)[1]
    moved = observe(lambda p, x: fn(p["w"], x))(second, x)[1]
    assert layouts(lambda p, x: fn(p["w"], x))(second, x) == {"w": moved["w"].layout}
    for name, make in METHODS.items():
        expected = standard(core.dense(core.compress(first, make(), stats)["w"]), x)
        got = core.compress(second, make(), moved)["w"]
        assert core.is_node(got), name
        out = fn(core.dense(got), x).reshape(expected.shape)
        np.testing.assert_allclose(out, expected, rtol=2e-4, atol=1e-3, err_msg=f"{name} on {stored}")


@pytest.mark.parametrize(
    "method",
    [
        quant.rtn(8), quant.rtn(4, granularity=4, symmetric=False), quant.rtn(4, clip="mse"), share.kmeans(3),
        share.kmeans(4, iterations=2),
    ],
    ids=lambda method: method.name,
)  # fmt: skip
def test_compress_inside_jit_is_compress(method: core.Compression, key: jax.Array) -> None:
    params = {"kernel": jax.random.normal(key, (8, 6)), "bias": jnp.ones(6)}
    inside = jax.jit(lambda params: core.compress(params, method))(params)["kernel"]
    outside = core.compress(params, method)["kernel"]
    assert jax.tree.structure(inside) == jax.tree.structure(outside)
    for one, two in zip(jax.tree.leaves(inside), jax.tree.leaves(outside)):
        assert one.dtype == two.dtype
        np.testing.assert_allclose(one, two, rtol=1e-6)


@pytest.mark.parametrize("method", [share.kmeans(3), prune.magnitude(0.5)], ids=lambda method: method.name)
def test_gradients_of_a_tree_with_codes(method: core.Compression, key: jax.Array) -> None:
    """The gradient of a value is the sum of the dense gradient over the entries that it stands for."""
    stored = core.compress({"kernel": jax.random.normal(key, (8, 6))}, method)["kernel"]
    slope = jnp.arange(48.0).reshape(8, 6)
    with pytest.raises(TypeError, match="grad requires real- or complex-valued inputs"):
        jax.grad(lambda node: jnp.sum(node.materialize() * slope))(stored)
    tree = {"kernel": stored}
    grads = jax.grad(lambda trained: jnp.sum(core.materialize(core.with_values(tree, trained))["kernel"] * slope))(
        core.values(tree)
    )
    (found,) = grads.values()
    if "mask" in type(stored).__name__.lower():
        np.testing.assert_array_equal(found, np.where(np.asarray(stored.mask), slope, 0))
    else:
        sums = [float(slope[np.asarray(stored.codes) == code].sum()) for code in range(3)]
        np.testing.assert_allclose(found, sums)
