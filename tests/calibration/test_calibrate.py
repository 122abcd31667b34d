"""Sequential calibration equals its definition, goes on after a kill, and refuses what it cannot calibrate."""

import functools
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import compressjax as cj
from compressjax import core, quant, tensors
from compressjax.core._unfit import LeftOutWarning
from tests.calibration import toys


def assert_close(a, b):
    a, b = core.materialize(a), core.materialize(b)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), a, b)


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_equals_the_loop_by_hand_on_an_mlp():
    params, batches = toys.mlp_params(), toys.rows(9, 7)
    tree = cj.calibrate(toys.mlp, params, batches, {"[abc]": toys.shift()})
    assert_close(tree, toys.by_hand(toys.mlp, params, batches, [["a"], ["b"], ["c"]], toys.shift()))
    assert tree["bias"] is params["bias"]
    # The past matters: observing the dense function once gives other kernels.
    dense = toys.by_hand(toys.mlp, params, batches, [["a", "b", "c"]], toys.shift())
    assert float(jnp.max(jnp.abs(dense["c"] - tree["c"]))) > 1e-2


@pytest.mark.thorough
def test_equals_the_loop_by_hand_on_attention():
    params, batches = toys.block_params(), [(4 * toys.normal(7, 2, 5, 8),), (4 * toys.normal(8, 3, 5, 8),)]
    told = []
    tree = cj.calibrate(toys.block, params, batches, toys.shift(), progress=told.append)
    assert [state.paths for state in told] == [(), ("q", "k", "v"), ("o",), ("up",), ("down",)]
    steps = [["q", "k", "v"], ["o"], ["up"], ["down"]]
    assert_close(tree, toys.by_hand(toys.block, params, batches, steps, toys.shift()))


def test_the_past_runs_as_nodes():
    # Activations of 8 bits are rounded in the past too: the second layer sees what `lift` computes.
    params, batches = {name: toys.normal(i, 8, 8) for i, name in enumerate("ab")}, toys.rows(16, width=8)

    def fn(p, x):
        return jnp.tanh(x @ p["a"]) @ p["b"]

    tree = cj.calibrate(fn, params, batches, {"a": quant.rtn(8, activation="dynamic"), "b": toys.shift()})
    inputs = jnp.tanh(cj.lift(lambda p, x: x @ p["a"])(tree, *batches[0]))
    moments = inputs.T @ inputs / 16
    np.testing.assert_allclose(tree["b"], params["b"] + 0.1 * moments @ params["b"], rtol=1e-5, atol=1e-6)
    dense = jnp.tanh(batches[0][0] @ core.materialize(tree["a"]))
    assert float(jnp.max(jnp.abs(moments - dense.T @ dense / 16))) > 1e-5


@pytest.mark.turns(2)
@pytest.mark.parametrize("seed", [0, 1])
def test_sequential_gptq_beats_gptq_of_the_dense_past(seed):
    draw = np.random.default_rng(seed)
    mixing = draw.normal(size=(16, 16)) * np.logspace(0, -1.5, 16)[:, None]
    x = jnp.asarray(4 * draw.normal(size=(192, 16)) @ mixing, jnp.float32)
    params = {f"layer{i}": toys.normal(100 * seed + i, 16, 16) for i in range(8)}

    def deep(p, x):
        for i in range(8):
            x = jnp.tanh(x @ p[f"layer{i}"])
        return x

    method = quant.gptq(3)
    tree = cj.calibrate(deep, params, [(x[:96],), (x[96:],)], method)
    once = cj.compress(params, method, cj.observe(deep)(params, x)[1])
    out = deep(params, x)
    errors = [float(jnp.sum(jnp.square(deep(core.materialize(t), x) - out))) for t in (tree, once)]
    assert errors[0] < errors[1]


@pytest.mark.thorough
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path):
    params, batches = toys.block_params(), [(4 * toys.normal(7, 2, 5, 8),), (4 * toys.normal(8, 3, 5, 8),)]
    rules = {"[qkv]": quant.rtn(8, activation="dynamic"), "o|up|down": toys.shift()}
    whole = cj.calibrate(toys.block, params, batches, rules)

    def stop(state):
        if state.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cj.calibrate(toys.block, params, batches, rules, folder=tmp_path, progress=stop)
    assert len(list(tmp_path.iterdir())) == 2
    told = []
    same(cj.calibrate(toys.block, params, batches, rules, folder=tmp_path, progress=told.append), whole)
    assert [state.resumed for state in told] == [False, True, True, False, False]
    same(cj.calibrate(toys.block, params, batches, rules, folder=tmp_path), whole)  # nothing left to do


@pytest.mark.thorough
def test_ranges_of_activations_are_clipped():
    params, batches = {"a": toys.normal(0, 6, 5), "b": toys.normal(1, 5, 4)}, toys.rows(60, 40)

    def fn(p, x):
        return jnp.tanh(x @ p["a"]) @ p["b"]

    method = quant.rtn(8, activation="static")
    rules = {"a": method, "b": toys.shift()}  # the second has no ranges
    tree = cj.calibrate(fn, params, batches, rules, clip=("percentile", 95.0))
    _, stats = cj.observe(fn, histogram=True)(params, jnp.concatenate([x for (x,) in batches]))
    want = cj.compress({"a": params["a"]}, method, quant.clip_activations({"a": stats["a"]}, ("percentile", 95.0)))
    same(tree["a"], want["a"])
    assert tree["a"].activation_scale < cj.calibrate(fn, params, batches, rules)["a"].activation_scale
    with pytest.raises(ValueError, match='lowers ranges of activations, .*activation="static"'):
        cj.calibrate(fn, params, batches, toys.shift(), clip="mse")
    with pytest.raises(ValueError, match="calibrate: clip='max' must be one of"):
        cj.calibrate(fn, params, batches, method, clip="max")


def test_a_folder_of_other_arguments_is_refused(tmp_path):
    params, batches = toys.mlp_params(), toys.rows(9)
    cj.calibrate(toys.mlp, params, batches, {"[ab]": toys.shift()}, folder=tmp_path)
    with pytest.raises(ValueError, match="with other batches"):
        cj.calibrate(toys.mlp, params, toys.rows(8), {"[ab]": toys.shift()}, folder=tmp_path)
    with pytest.raises(ValueError, match="with other params"):
        cj.calibrate(toys.mlp, params | {"c": params["c"] + 1}, batches, {"[ab]": toys.shift()}, folder=tmp_path)
    with pytest.raises(ValueError, match="with other function"):
        cj.calibrate(lambda p, x: toys.mlp(p, 2 * x), params, batches, {"[ab]": toys.shift()}, folder=tmp_path)
    other = core.from_encode("shift", lambda path, x, stats: x * stats.gram[0, 0], needs=("gram",))
    with pytest.raises(ValueError, match="with other settings"):
        cj.calibrate(toys.mlp, params, batches, {"[ab]": other}, folder=tmp_path)
    (tmp_path / "000001.cjx").write_bytes(b"torn")
    with pytest.raises(ValueError, match="000001.cjx is damaged.*delete it"):
        cj.calibrate(toys.mlp, params, batches, {"[ab]": toys.shift()}, folder=tmp_path)


def test_one_gram_matrix_at_a_time():
    params, batches = toys.block_params(), [(4 * toys.normal(7, 2, 5, 8),), (4 * toys.normal(8, 2, 5, 8),)]
    alive, most = [], []

    def encode(path, x, stats):
        del path
        if not isinstance(x, jax.core.Tracer):
            gc.collect()
            most.append(sum(ref() is not None for ref in alive))
            held = [a for a in jax.live_arrays() if a.shape in ((8, 8), (12, 12)) and id(a) not in mine]
            # Its own statistics, and nothing of the leaves before.
            assert len(held) - made[0] <= 1, [a.shape for a in held]
            alive.append(weakref.ref(stats.gram))
            made[0] += x.shape == (8, 8)
        return x + 0.1 * stats.second_moment @ x

    mine = {id(a) for a in jax.live_arrays()}
    made = [0]
    cj.calibrate(toys.block, params, batches, core.from_encode("gram", encode, needs=("gram",)))
    assert len(most) == 6
    assert max(most[3:]) == 0  # queries, keys and values read one and the same


def test_a_leaf_that_is_read_again_later_is_not_stale():
    # A tied embedding: the rows that the second step reads are those of the compressed one.
    params = {"words": toys.normal(0, 6, 5), "b": toys.normal(1, 5, 5)}

    def tied(p, ids):
        x = p["words"][ids]
        return jnp.tanh((x + x @ p["b"]) @ p["words"].T) @ jnp.ones((6, 1))

    batches = [(jnp.array([0, 1, 2, 5]),), (jnp.array([3, 3, 4]),)]
    tree = cj.calibrate(tied, params, batches, {"b": toys.shift(), "words": quant.rtn(8, axis=0)}, order=["words", "b"])
    x = core.materialize(tree["words"])[jnp.concatenate([ids for (ids,) in batches])]
    np.testing.assert_allclose(tree["b"], params["b"] + 0.1 * (x.T @ x / 7) @ params["b"], rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
def test_order_and_together():
    params, batches = toys.mlp_params(), toys.rows(9, 7)
    told = []
    tree = cj.calibrate(toys.mlp, params, batches, {"[abc]": toys.shift()}, order=["c"], progress=told.append)
    assert [state.paths for state in told[1:]] == [("c",), ("a",), ("b",)]
    assert_close(tree, toys.by_hand(toys.mlp, params, batches, [["c"], ["a"], ["b"]], toys.shift()))
    tree = cj.calibrate(toys.mlp, params, batches, {"[abc]": toys.shift()}, together=["b|c"])
    assert_close(tree, toys.by_hand(toys.mlp, params, batches, [["a"], ["b", "c"]], toys.shift()))


def test_a_scanned_stack_is_one_leaf():
    params = {"stack": jnp.stack([toys.normal(i, 5, 5) for i in range(3)]), "head": toys.normal(4, 5, 2)}

    def scanned(p, x):
        return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p["stack"])[0] @ p["head"]

    def encode(path, x, stats):
        del path
        return tensors.Scaled(x, 1 + 0.1 * jnp.mean(stats.second_moment) * jnp.ones((1,) * x.ndim))

    method, batches = core.from_encode("scaled", encode, needs=("gram",)), toys.rows(6, 4, width=5)
    tree = cj.calibrate(scanned, params, batches, method)
    assert_close(tree, toys.by_hand(scanned, params, batches, [["stack"], ["head"]], method))


def test_tied_leaves_get_one_node_and_unfit_leaves_are_listed():
    params, batches = toys.mlp_params() | {"odd": toys.normal(3, 3, 9)}, toys.rows(9)
    params["again"] = params["c"]

    def fn(p, x):
        return toys.mlp(p, x) @ p["odd"] + toys.mlp(p, x) @ p["again"].T @ jnp.ones((7, 1))

    with pytest.warns(LeftOutWarning, match="bias  no product of the observed function reads it"):
        tree = cj.calibrate(fn, params, batches, {"a|bias": toys.shift(), "c|again": quant.rtn(8)})
    assert tree["c"] is tree["again"]
    assert tree["bias"] is params["bias"]


@pytest.mark.parametrize(
    ("batches", "match"),
    [
        ([], "no batches"),
        (iter([]), "can be read once"),
        ([jnp.ones((2, 6))], "batch 0 is .*tuple of the arguments"),
        ([*toys.rows(3), (jnp.full((1, 6), jnp.nan),)], "batch 1 has 6 entries of 6.*NaN"),
        ([(jnp.full((2, 6), 1e30),)], "'a' has .* non-finite sums of squared inputs"),
        ([(jnp.zeros((2, 6)),)], "'a': only zeros reached it"),
        ([(jnp.zeros((0, 6)),)], "'a' has inputs without rows"),
    ],
)
def test_bad_batches(batches, match):
    with pytest.raises(ValueError, match=match):
        cj.calibrate(toys.mlp, toys.mlp_params(), batches, {"[abc]": toys.shift()})


def test_bad_rules():
    params, batches = toys.mlp_params() | {"unused": toys.normal(3, 4, 4)}, toys.rows(5)
    for rules in (toys.shift(), {"a|unused": toys.shift()}):
        with pytest.raises(ValueError, match="no batch reaches 'unused'"):
            cj.calibrate(toys.mlp, params, batches, rules)
    with pytest.raises(ValueError, match="order='z' matches no leaf"):
        cj.calibrate(toys.mlp, params, batches, {"[abc]": toys.shift()}, order=["z"])
    with pytest.raises(ValueError, match="together='b' is one selector"):
        cj.calibrate(toys.mlp, params, batches, {"[abc]": toys.shift()}, together="b")
    with pytest.raises(ValueError, match="changed no value"):
        cj.calibrate(toys.mlp, params | {"a": jnp.zeros((6, 5))}, batches, {"a": core.chain(core.identity())})


def test_an_expert_without_rows_is_named():
    params = {"experts": jnp.stack([toys.normal(i, 6, 4) for i in range(3)])}

    def routed(p, x, sizes):
        return jax.lax.ragged_dot(x, p["experts"], sizes)

    def scaled(path, x, stats):
        del path
        return x * stats.gram[:, :1, :1]

    batches = [(rows, jnp.array([2, 0, 3])) for (rows,) in toys.rows(5)]
    with pytest.raises(ValueError, match=r"'experts': no input reached layers \[\[1\]\] of its stack.*batches"):
        cj.calibrate(routed, params, batches, core.from_encode("scaled", scaled, needs=("gram",)))
