"""Groups of real networks against lists written by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from compressjax import interpret
from compressjax.interpret.coupling._label_flow import LOOP_AXIS
from tests.interpret import cutting

KEY = jax.random.key(0)
IMAGES = jnp.zeros((2, 8, 8, 1))
TOKENS = jnp.array([[1, 2, 3], [4, 5, 6]])


def free(fn, *args):
    """Members of the groups that can be pruned, as `path:axis*positions`."""
    found = [g for g in interpret.couplings(fn)(*args) if not g.frozen]
    return {g.name: {f"{m.path}:{m.axis}*{m.positions.shape[1]}" for m in g.members} for g in found}


def reasons(fn, *args):
    """Why groups cannot be pruned."""
    return {g.name: g.frozen for g in interpret.couplings(fn)(*args) if g.frozen}


def test_mlp():
    p = {"a": jnp.ones((4, 8)), "bias": jnp.ones(8), "b": jnp.ones((8, 3))}

    def fn(p, x):
        return jax.nn.relu(x @ p["a"] + p["bias"][None]) @ p["b"]

    assert free(fn, p, jnp.ones((2, 4))) == {"a:1": {"a:1*1", "bias:0*1", "b:0*1"}}
    why = reasons(fn, p, jnp.ones((2, 4)))
    assert "data" in why["a:0"]
    assert "result" in why["b:1"]


def test_units_of_a_group_are_its_positions_in_order():
    p = {"a": jnp.ones((2, 3)), "b": jnp.ones((12, 1))}

    def fn(p, x):
        return (x @ p["a"]).reshape(1, -1) @ p["b"]

    group = next(g for g in interpret.couplings(fn)(p, jnp.ones((4, 2))) if not g.frozen)
    assert {m.path: m.positions.tolist() for m in group.members} == {
        "a": [[0], [1], [2]],
        "b": [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]],
    }


def test_residual_network_with_batch_norm():
    model = cutting.ResNet()
    found = free(model.apply, jax.eval_shape(model.init, KEY, IMAGES), IMAGES)
    inner = found["params/Block_0/Conv_0/kernel:3"]
    norm = {f"{c}/Block_0/BatchNorm_0/{n}:0*1" for c, n in
            (("params", "scale"), ("params", "bias"), ("batch_stats", "mean"), ("batch_stats", "var"))}  # fmt: skip
    assert inner == norm | {"params/Block_0/Conv_0/kernel:3*1", "params/Block_0/Conv_1/kernel:2*1"}
    stream = found["params/Block_0/Conv_1/kernel:3"]
    assert {"params/Conv_0/kernel:3*1", "params/Block_1/Conv_0/kernel:2*1", "params/Block_1/Conv_2/kernel:2*1"} < stream
    assert len(found) == 4


def test_depthwise_and_grouped_convolutions():
    model = cutting.Separable()
    found = free(model.apply, jax.eval_shape(model.init, KEY, IMAGES), IMAGES)
    assert {m for m in found["params/Conv_0/kernel:3"] if "kernel" in m} == {
        "params/Conv_0/kernel:3*1", "params/Conv_1/kernel:3*1", "params/Conv_2/kernel:2*1"
    }  # fmt: skip
    # 24 channels in 6 groups of 4: a unit is a group, with the 2 channels before it that have 2 outputs each.
    whole = found["params/Conv_2/kernel:3"]
    assert {"params/Conv_2/kernel:3*2", "params/Conv_3/kernel:3*4", "params/Conv_4/kernel:3*2"} < whole
    assert any(m.startswith("params/Dense_") and m.endswith(":0*18") for m in whole)  # 3 x 3 positions, 2 channels


def test_heads_queries_and_values_are_groups_of_their_own():
    model = cutting.Bert()
    found = free(model.apply, jax.eval_shape(model.init, KEY, TOKENS), TOKENS)
    att = "params/MultiHeadDotProductAttention_0"
    heads = {m for m in found[f"{att}/key/kernel:1"] if "kernel" in m}
    assert heads == {f"{att}/{n}/kernel:{a}*1" for n, a in (("key", 1), ("query", 1), ("value", 1), ("out", 0))}
    assert {m for m in found[f"{att}/key/kernel:2"] if "kernel" in m} == {
        f"{att}/key/kernel:2*1", f"{att}/query/kernel:2*1"
    }  # fmt: skip
    assert {m for m in found[f"{att}/value/kernel:2"] if "kernel" in m} == {
        f"{att}/value/kernel:2*1", f"{att}/out/kernel:1*1"
    }  # fmt: skip


def test_a_residual_stream_under_layer_norm_carries_a_note():
    model = cutting.Bert()
    notes = {g.name: g.note for g in interpret.couplings(model.apply)(jax.eval_shape(model.init, KEY, TOKENS), TOKENS)}
    assert "mean" in notes["params/Dense_0/kernel:1"]
    assert notes["params/Dense_1/kernel:1"] is None


def two_passes(x):
    centered = x - x.mean(-1, keepdims=True)
    return centered * jax.lax.rsqrt((centered * centered).mean(-1, keepdims=True) + 1e-6)


def library_variance(x):
    return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(jnp.var(x, -1, keepdims=True) + 1e-6)


def one_pass(x):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) - mean * mean + 1e-6)


def stream(norm):
    """A residual stream with a custom norm."""

    def fn(p, x):
        x = x @ p["in"]
        return (x + jnp.tanh((norm(x) * p["scale"][None] + p["bias"][None]) @ p["up"]) @ p["down"]) @ p["out"]

    shapes = {"in": (5, 8), "scale": (8,), "bias": (8,), "up": (8, 12), "down": (12, 8), "out": (8, 2)}
    return fn, cutting.filled({name: jnp.ones(shape) for name, shape in shapes.items()})


@pytest.mark.turns(2)
@pytest.mark.parametrize("norm", [two_passes, library_variance])
def test_a_variance_of_centered_units_is_refused_with_the_way_out(norm):
    (fn, p), x = stream(norm), cutting.filled(jnp.ones((3, 5)))
    np.testing.assert_allclose(fn(p, x), stream(one_pass)[0](p, x), rtol=1e-4)
    assert "mean(x * x) - mean(x) ** 2" in reasons(fn, p, x)["down:1"]
    assert cutting.agrees(fn, p, x) == ["up:1"]
    assert cutting.agrees(stream(one_pass)[0], p, x) == ["down:1", "up:1"]  # the way out is one


def test_grouped_queries_rotary_positions_gates_and_a_scan_of_layers():
    found = free(cutting.llama_apply, cutting.llama(), TOKENS)
    assert found["layers/gate:2"] == {"layers/gate:2*1", "layers/up:2*1", "layers/down:1*1"}
    # 4 heads of 6 over 2 keys: a unit is a key head with its 2 queries, or the same query of every key head.
    assert found["layers/k:2"] == {"layers/k:2*6", "layers/v:2*6", "layers/q:2*12", "layers/o:1*12"}
    assert found["layers/q:2"] == {"layers/q:2*12", "layers/o:1*12"}
    assert found["layers/k:2#2"] == {"layers/k:2*4", "layers/q:2*8"}  # rotation couples d with d + 3
    assert found["layers/v:2"] == {"layers/v:2*2", "layers/o:1*4"}


@pytest.mark.parametrize(("cell", "recurrent"), [(nn.OptimizedLSTMCell, 4), (nn.LSTMCell, 4), (nn.GRUCell, 3)])
def test_gates_of_recurrent_cells_go_together(cell, recurrent):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2)(nn.RNN(cell(6))(x))

    x = jnp.zeros((2, 5, 3))
    (group,) = free(Net().apply, jax.eval_shape(Net().init, KEY, x), x).values()
    loops = {m for m in group if "/h" in m and "kernel" in m}
    assert {m.split(":")[1] for m in loops} == {"0*1", "1*1"}
    assert len(loops) == 2 * recurrent


def test_fused_gates_are_split():
    def fn(p, x):
        def step(carry, row):
            h, c = carry
            i, f, g, o = jnp.split(row @ p["x"] + h @ p["h"], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((x.shape[1], 3))
        return jax.lax.scan(step, (zeros, zeros), x)[1] @ p["out"]

    p = {"x": jnp.ones((2, 12)), "h": jnp.ones((3, 12)), "out": jnp.ones((3, 1))}
    assert list(free(fn, p, jnp.ones((5, 1, 2))).values()) == [{"x:1*4", "h:0*1", "h:1*4", "out:0*1"}]


def test_concatenated_branches_are_groups_of_their_own():
    def fn(p, x):
        return jnp.concatenate([x @ p["a"], x @ p["b"]], -1) @ p["c"]

    p = {"a": jnp.ones((2, 3)), "b": jnp.ones((2, 4)), "c": jnp.ones((7, 1))}
    assert free(fn, p, jnp.ones((1, 2))) == {"a:1": {"a:1*1", "c:0*1"}, "b:1": {"b:1*1", "c:0*1"}}


def test_nnx_state():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.a, self.norm = nnx.Linear(4, 6, rngs=rngs), nnx.BatchNorm(6, use_running_average=True, rngs=rngs)
            self.b = nnx.Linear(6, 2, rngs=rngs)

        def __call__(self, x):
            return self.b(nnx.relu(self.norm(self.a(x))))

    definition, state = nnx.split(Net(nnx.Rngs(0)))
    found = free(lambda s, x: nnx.merge(definition, s)(x), state, jnp.ones((1, 4)))
    names = ("a/bias", "norm/bias", "norm/scale", "norm/mean", "norm/var")
    assert found == {"a/kernel:1": {"a/kernel:1*1", "b/kernel:0*1", *(f"{n}:0*1" for n in names)}}


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (lambda h: jnp.linalg.cholesky(h.T @ h), "'cholesky'"),
        (jax.nn.softmax, "reduce_max"),
        (lambda h: jnp.cumsum(h, -1), "cumsum"),
        (lambda h: jnp.sort(h, -1), "sort"),
        (lambda h: h[:, jnp.array([3, 1, 0, 2])], "indexed"),
        (lambda h: h[:, 0:1] * jnp.ones((1, 4)), "alone"),
        (lambda h: (h + 1.0).sum(-1, keepdims=True) * jnp.ones((1, 4)), "not zero"),
        (lambda h: jnp.exp(h) @ jnp.ones((4, 4)), "not zero"),
    ],
)
def test_what_a_cut_would_change_is_frozen_with_the_reason(between, reason):
    p = {"a": jnp.ones((2, 4)), "b": jnp.ones((4, 1))}
    why = reasons(lambda p, x: between(x @ p["a"]) @ p["b"], p, jnp.ones((4, 2)))
    assert reason in why["a:1"]


def test_only_units_that_are_touched_are_frozen():
    def fn(p, x):
        h = x @ p["a"]
        return h @ p["b"] + h[:, 1:2]

    p = {"a": jnp.ones((2, 4)), "b": jnp.ones((4, 1))}
    found = {g.name: g for g in interpret.couplings(fn)(p, jnp.ones((1, 2)))}
    assert "alone" in found["a:1#2"].frozen
    assert found["a:1#2"].members[0].positions.tolist() == [[1]]
    assert found["a:1"].units == 3


ROWS = {
    "slice": lambda w, i: w[:3],
    "stride": lambda w, i: w[::2][:3],
    "single": lambda w, i: w[2],
    "reverse": lambda w, i: w[::-1][:3],
    "split": lambda w, i: jnp.split(w, [3])[0],
    "reshape": lambda w, i: w[:6].reshape(3, 2, -1)[:2].reshape(4, -1),
    "scan": lambda w, i: jax.lax.scan(lambda c, row: (c, jnp.sin(row)), 0, w[1:4])[1],
    "jit": lambda w, i: jax.jit(lambda w: w[:3])(w),
    "dynamic_slice": lambda w, i: jax.lax.dynamic_slice_in_dim(w, i[0], 3),
    "dynamic_slice, static": lambda w, i: jax.lax.dynamic_slice_in_dim(w, 1, 3),
    "gather": lambda w, i: w[i],
    "gather, static": lambda w, i: jnp.take(w, jnp.arange(3), axis=0),
    "none": lambda w, i: w[:0].sum(0),
    "a loop that passes it": lambda w, i: jax.lax.fori_loop(0, 2, lambda _, c: (c[0] + 1, c[1]), (i, w))[0] * 1.0,
}


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", ROWS)
def test_positions_that_the_example_does_not_read_stay(name):
    """Gradients show which positions these are; a longer example may read them."""
    p = {"w": cutting.filled(jnp.ones((7, 4))), "a": cutting.filled(jnp.ones((4, 6)))}
    index = jnp.array([1, 2])

    def fn(p, i):
        rows = ROWS[name](p["w"], i)
        return jnp.sin(rows).sum(), (jnp.tanh(p["w"][:1] @ p["a"]) ** 2).sum()

    grads = jax.jacobian(fn)(p, index)
    read = np.any([np.asarray(g["w"]).any(1) for g in grads], axis=0)
    assert 0 < read.sum() < 7
    found = interpret.couplings(fn)(p, index)
    rows = [(g.frozen, m.positions) for g in found for m in g.members if (m.path, m.axis) == ("w", 0)]
    units = [(unit, reason) for reason, positions in rows for unit in positions]
    assert {row for unit, _ in units for row in unit} == set(range(7))
    why = [reason for unit, reason in units if not read[unit].any()]
    assert why
    assert all(reason and ("never read by the example" in reason or "indexed by data" in reason) for reason in why)
    assert {"w:1", "a:1"} == {f"{m.path}:{m.axis}" for g in found if not g.frozen for m in g.members} - {"w:0", "a:0"}


def test_only_the_units_that_the_example_does_not_read_are_frozen():
    def fn(p, x):
        return (x @ p["a"])[:, :5] @ p["b"][:5]

    p = {"a": jnp.ones((2, 8)), "b": jnp.ones((8, 1))}
    found = {g.name: g for g in interpret.couplings(fn)(p, jnp.ones((1, 2)))}
    assert (found["a:1"].units, found["a:1"].frozen) == (5, None)
    assert {m.path: m.positions.reshape(-1).tolist() for m in found["a:1#2"].members} == {"a": [5, 6, 7]}
    assert {m.path: m.positions.reshape(-1).tolist() for m in found["b:0"].members} == {"b": [5, 6, 7]}
    assert "never read by the example" in found["a:1#2"].frozen
    assert "never read by the example" in found["b:0"].frozen


def test_leaves_that_the_function_does_not_use_stay_whole():
    def fn(p, x):
        h, _ = jax.lax.scan(lambda h, layer: (jnp.tanh(h @ layer["a"] @ layer["b"]), None), x, p["layers"])
        return h

    layers = {"a": jnp.ones((3, 4, 6)), "b": jnp.ones((3, 6, 4)), "none": jnp.ones((3, 5))}
    p, x = {"layers": layers, "none": jnp.ones((3, 5))}, jnp.ones((1, 4))
    assert list(free(fn, p, x)) == ["layers/a:2"]
    why = reasons(fn, p, x)
    assert why["none:0"] == why["none:1"] == "the function does not use this weight"
    assert "never read" in why["layers/none:1"]
    assert why["layers/a:0"] == LOOP_AXIS


def test_a_sum_over_zeros_is_exact():
    p = {"a": jnp.ones((2, 4))}
    found = interpret.couplings(lambda p, x: (x @ p["a"]).sum(-1))(p, jnp.ones((1, 2)))
    assert next(g for g in found if g.name == "a:1").frozen is None


def test_nodes_are_refused_with_the_remedy():
    from compressjax.tensors import Masked

    node = Masked(jnp.ones((2, 2)), jnp.ones((2, 2), bool))
    with pytest.raises(ValueError, match="'a' is a node; pass materialize"):
        interpret.couplings(lambda p: p["a"])({"a": node})
    with pytest.raises(ValueError, match="weights first"):
        interpret.couplings(lambda: 0)()
