"""What `shrink` is asked for and what it answers; `test_families.py` holds what it makes against masked networks."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from compressjax import interpret, measure, structure
from compressjax.structure._budget import Model
from compressjax.structure._units import mask
from tests.interpret import cutting
from tests.interpret.narrowing.test_narrow import IMAGES, TOKENS, Recurrent, linen


def bert():
    return linen(cutting.Bert(), TOKENS)


CASES = {
    "resnet": lambda: linen(cutting.ResNet(), IMAGES),
    "separable": lambda: linen(cutting.Separable(), IMAGES),
    "bert": bert,
    "lstm": lambda: linen(Recurrent(nn.OptimizedLSTMCell), IMAGES[..., 0]),
    "llama": lambda: (cutting.llama_apply, cutting.llama(), TOKENS),
}


@functools.cache
def shrunk(name, allow_inexact=False):
    """The model, and the half of it; several tests look at the same one."""
    fn, params, x = CASES[name]()
    return fn, params, x, structure.shrink(fn, params, x, keep=0.5, allow_inexact=allow_inexact)


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", CASES)
def test_predicted_operations_are_those_of_xla(name):
    fn, params, x, small = shrunk(name)
    loops = {"llama": 2, "lstm": 8}.get(name, 1)  # XLA counts the body of a scan over layers or time once
    body = interpret.predict_flops(fn, params, small.kept, loops=False)(x)
    assert body == pytest.approx(measure.flops(small.fn, small.params, x), rel=0.1)
    assert body <= small.after.flops <= loops * body


class Net(nnx.Module):
    """A small NNX network."""

    def __init__(self, rngs):
        self.conv, self.norm = nnx.Conv(1, 6, (3, 3), rngs=rngs), nnx.BatchNorm(6, use_running_average=True, rngs=rngs)
        self.out = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.relu(self.norm(self.conv(x))).mean((1, 2)))


def test_nnx_runs_its_own_code_on_the_smaller_state():
    definition, state = nnx.split(nnx.eval_shape(lambda: Net(nnx.Rngs(0))))
    state = cutting.filled(state)
    small = structure.shrink(lambda s, x: nnx.merge(definition, s)(x), state, IMAGES, keep=0.5)
    assert small.native
    assert jax.jit(lambda s, x: nnx.merge(definition, s)(x))(small.params, IMAGES).shape == (2, 3)


def test_linen_checks_shapes_so_the_narrowed_function_runs():
    fn, params, x, small = shrunk("resnet")
    assert not small.native
    with pytest.raises(ValueError, match="does not run the smaller weights"):
        structure.shrink(fn, params, x, keep=0.5, run="native")


def mlp():
    p = cutting.filled({"a": jnp.ones((4, 8)), "bias": jnp.ones(8), "b": jnp.ones((8, 3))})
    return (lambda p, x: jnp.tanh(x @ p["a"] + p["bias"][None]) @ p["b"]), p, jnp.ones((2, 4))


def test_plain_functions_that_read_shapes_run_themselves():
    fn, p, x = mlp()
    small = structure.shrink(fn, p, x, budget=structure.parameters(0.5), saliency="l1")
    assert small.native
    assert small.fn is fn
    assert small.after.parameters <= 0.5 * small.before.parameters


def test_a_width_in_the_code_changes_the_function_so_it_is_not_used():
    fn, p, x = mlp()

    def scaled(p, x):
        return fn(p, x) / p["a"].shape[1] ** 0.5

    small = structure.shrink(scaled, p, x, keep=0.5)
    assert not small.native
    assert small.error <= 1e-5


@pytest.mark.thorough
def test_a_masked_unit_of_a_biased_norm_is_zero_behind_it():
    fn, params, x = CASES["resnet"]()
    small = structure.shrink(fn, params, x, keep={"params/Block_0/Conv_0/kernel:3": 2})
    groups = interpret.couplings(fn)(params, x)
    masked = mask(params, groups, small.kept)
    gone = sorted(set(range(6)) - set(small.kept["params/Block_0/Conv_0/kernel:3"]))
    assert np.all(np.asarray(masked["params"]["Block_0"]["BatchNorm_0"]["bias"])[gone] == 0)
    # With the bias left in place the two would differ.
    wrong = jax.tree.map(lambda x: x, masked)
    wrong["params"]["Block_0"]["BatchNorm_0"]["bias"] = params["params"]["Block_0"]["BatchNorm_0"]["bias"]
    wrong["params"]["Block_0"]["Conv_1"] = params["params"]["Block_0"]["Conv_1"]
    assert float(jnp.abs(jax.jit(fn)(wrong, x) - jax.jit(small.fn)(small.params, x)).max()) > 1e-3


@pytest.mark.thorough
def test_noted_groups_are_cut_only_on_demand():
    fn, params, x, plain = shrunk("bert")
    noted = shrunk("bert", allow_inexact=True)[-1]
    stream = "params/Dense_0/kernel:1"
    assert stream not in plain.kept
    assert stream in noted.kept
    assert "mean" in {c.group: c.reason for c in plain.cuts}[stream]
    with pytest.raises(ValueError, match="allow_inexact=True"):
        structure.shrink(fn, params, x, keep={stream: 4})


@pytest.mark.turns(3)
@pytest.mark.parametrize("budget", [structure.parameters(0.6), structure.size(0.6), structure.flops(0.6)])
def test_budgets_are_kept_in_multiples(budget):
    fn, params, x = CASES["resnet"]()
    small = structure.shrink(fn, params, x, budget=budget, round_to=2)
    model = Model(fn, params, (x,), interpret.couplings(fn)(params, x))
    assert budget.cost(model, small.kept) <= budget.allowed(model)
    assert all(len(units) % 2 == 0 for units in small.kept.values())


class Clock:
    """A machine that takes a microsecond a number: of the program that is timed, whatever time that really takes."""

    def __init__(self):
        self.calls = 0

    def __call__(self, call):
        self.calls += 1
        return 1e-6 * sum(x.size for x in jax.make_jaxpr(call)().consts)


def wide():
    p = cutting.filled({"a": jnp.ones((4, 30)), "b": jnp.ones((30, 40)), "c": jnp.ones((40, 3))})
    return (lambda p, x: jnp.tanh(jnp.tanh(x @ p["a"]) @ p["b"]) @ p["c"]), p, jnp.ones((2, 4))


@pytest.mark.turns(2)
@pytest.mark.parametrize("ranking", ["global", "uniform"])
def test_a_budget_in_seconds_is_kept_by_the_clock(ranking):
    fn, p, x = wide()
    clock, limit = Clock(), 700
    small = structure.shrink(fn, p, x, budget=structure.latency(limit=1e-6 * limit, clock=clock), ranking=ranking)
    assert clock.calls <= 1 + 8
    # The data are in the program as well, so this budget in numbers has to choose the same units.
    same = structure.shrink(fn, p, x, budget=structure.parameters(limit=limit - x.size), ranking=ranking)
    assert small.kept == same.kept
    run = jax.jit(small.fn)
    assert Clock()(lambda: run(small.params, x)) <= 1e-6 * limit
    assert small.error <= 1e-5


def test_seconds_of_this_machine_are_medians_and_shares_are_of_the_whole_model(monkeypatch):
    fn, p, x = wide()
    clock = Clock()

    def interleaved(call, rounds):
        seconds = clock(call)
        return measure.Timings(np.full((1, rounds), np.inf), (seconds,), (), (1,))

    monkeypatch.setattr("compressjax.structure._budget.interleaved", interleaved)
    small = structure.shrink(fn, p, x, budget=structure.latency(0.5))
    assert clock.calls <= 2 + 8
    whole = sum(leaf.size for leaf in jax.tree.leaves(p)) + x.size
    same = structure.shrink(fn, p, x, budget=structure.parameters(limit=whole / 2 - x.size))
    assert small.kept == same.kept


def test_seconds_that_no_cut_reaches():
    fn, p, x = wide()
    with pytest.raises(ValueError, match="seconds: the limit is 1e-06, and the cost is 1.6e-05"):
        structure.shrink(fn, p, x, budget=structure.latency(limit=1e-6, clock=Clock()))
    with pytest.raises(ValueError, match="latency: weights or arguments are abstract"):
        structure.shrink(fn, p, jax.ShapeDtypeStruct(x.shape, x.dtype), budget=structure.latency(0.5, clock=Clock()))


@pytest.mark.thorough
def test_positions_behind_the_example_are_there_for_longer_inputs():
    def fn(p, x):
        return jnp.tanh((p["tokens"][x] + p["positions"][None, : x.shape[1]]) @ p["a"]) @ p["b"]

    p = cutting.filled({"tokens": jnp.ones((11, 4)), "positions": jnp.ones((7, 4)), "a": jnp.ones((4, 6)),
                        "b": jnp.ones((6, 2))})  # fmt: skip
    small = structure.shrink(fn, p, TOKENS, keep=0.5)
    assert small.native
    assert small.params["positions"].shape == (7, 2)
    assert "never read by the example" in {c.group: c.reason for c in small.cuts}["positions:0#2"]
    masked = mask(p, interpret.couplings(fn)(p, TOKENS), small.kept)
    for length in (3, 5, 7):
        x = jnp.arange(length)[None]
        np.testing.assert_allclose(fn(small.params, x), fn(masked, x), rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
def test_selection_by_pattern_and_by_function():
    fn, params, x = CASES["resnet"]()
    by_name = structure.shrink(fn, params, x, keep=0.5, select=r"params/Block_0/Conv_0/kernel:3")
    assert list(by_name.kept) == ["params/Block_0/Conv_0/kernel:3"]
    by_rule = structure.shrink(fn, params, x, keep=0.5, select=lambda name, group: group.units == 10)
    assert list(by_rule.kept) == ["params/Block_1/Conv_0/kernel:3"]


def test_abstract_arguments_skip_the_check():
    fn, params, x = CASES["resnet"]()
    small = structure.shrink(fn, params, jax.ShapeDtypeStruct(x.shape, x.dtype), keep=0.5)
    assert small.error is None
    assert jax.eval_shape(small.fn, small.params, x).shape == (2, 3)


def test_the_smaller_model_trains():
    _, _, x, small = shrunk("resnet")
    grads = jax.jit(jax.grad(lambda p: (small.fn(p, x) ** 2).sum()))(small.params)
    assert jax.tree.map(jnp.shape, grads) == jax.tree.map(jnp.shape, small.params)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either keep"),
        ({"keep": 0.5, "budget": structure.flops(0.5)}, "either keep"),
        ({"keep": 0.5, "run": "fast"}, "run='fast'"),
        ({"keep": 0.5, "round_to": 0}, "round_to=0"),
        ({"keep": {"b:1": 2}}, r"'b:1' \(3 units\) cannot be cut: it reaches a result.*can be cut: a:1"),
        ({"keep": {"nothing": 2}}, "not groups; groups that can be cut: a:1"),
        ({"keep": 0.5, "select": "b:1"}, "cannot be cut"),
        ({"keep": 0.5, "select": "nothing"}, "selects no group"),
        ({"keep": 0.5, "select": "("}, r"selector '\(' is not a regular expression"),
        ({"keep": {"a:1": 0}}, "at least one"),
    ],
)
def test_bad_calls_are_refused(settings, message):
    fn, p, x = mlp()
    with pytest.raises(ValueError, match=message):
        structure.shrink(fn, p, x, **settings)


def test_an_unknown_primitive_is_named_with_the_way_out():
    p = {"a": jnp.ones((2, 4)), "b": jnp.ones((4, 1)), "c": jnp.ones((1, 6)), "d": jnp.ones((6, 1))}

    def fn(p, x):
        return jnp.tanh(jnp.linalg.cholesky(jnp.eye(4) + 0 * (x @ p["a"]).T @ (x @ p["a"])) @ p["b"] @ p["c"]) @ p["d"]

    with pytest.raises(ValueError, match=r"'a:1' .*cannot be cut: passes through 'cholesky'.*can be cut: .*c:1"):
        structure.shrink(fn, p, jnp.ones((1, 2)), keep={"a:1": 2})


def test_normalized_weights_are_compared_in_the_limit():
    p = cutting.filled({"w": jnp.ones((4, 6)), "g": jnp.ones(6), "v": jnp.ones((6, 2))})

    def fn(p, x):
        return x @ (p["w"] / jnp.linalg.norm(p["w"], axis=0, keepdims=True) * p["g"][None]) @ p["v"]

    small = structure.shrink(fn, p, jnp.ones((3, 4)), keep=0.5)
    assert small.native
    assert small.error <= 1e-5
    kept = jnp.array(small.kept["w:1"])
    want = fn({"w": p["w"][:, kept], "g": p["g"][kept], "v": p["v"][kept]}, jnp.ones((3, 4)))
    np.testing.assert_allclose(small.fn(small.params, jnp.ones((3, 4))), want, rtol=1e-5)


def amplified(p, x):
    """A layer, and operations that double every rounding error several times."""
    h = jax.nn.sigmoid(jax.nn.relu(x @ p["a"]) @ p["b"])
    for _ in range(10):
        h = 3.9 * h * (1 - h)
    return h


def test_the_tolerance_follows_what_rounding_does_to_the_results():
    """Two sums in another order: 1e-7 behind the layer, above 1e-5 at the end."""
    draw = np.random.default_rng(0)
    p = {"a": draw.normal(size=(300, 400)) / 17, "b": draw.normal(size=(400, 200)) / 20}
    p = {name: jnp.asarray(w, jnp.float32) for name, w in p.items()}
    x = jnp.asarray(draw.normal(size=(64, 300)), jnp.float32)
    small = structure.shrink(amplified, p, x, keep=0.6)
    assert 1e-5 < small.error < 1e-2
    with pytest.raises(ValueError, match=r"differ by .* more than 1e-05; rounding every weight anew changes .* by .*"
                       r"ill-conditioned; compare in float64"):  # fmt: skip
        structure.shrink(amplified, p, x, keep=0.6, tolerance=1e-5)


@jax.tree_util.register_pytree_with_keys_class
class Module:
    """A module in the manner of Equinox: arrays, functions, strings and counts are all leaves."""

    def __init__(self, *leaves):
        self.a, self.b, self.act, self.name, self.turns = leaves

    def tree_flatten_with_keys(self):
        names = ("a", "b", "act", "name", "turns")
        return [(jax.tree_util.GetAttrKey(n), getattr(self, n)) for n in names], None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)

    def __call__(self, x):
        for _ in range(self.turns):
            x = x + self.act(x @ self.a) @ self.b
        return x


@pytest.mark.parametrize(
    ("settings", "native"),
    [({"keep": 0.5}, True), ({"keep": "alive"}, True), ({"keep": 0.5, "run": "narrow"}, False),
     ({"budget": structure.parameters(0.5)}, True)],
)  # fmt: skip
def test_modules_with_leaves_that_are_no_arrays(settings, native):
    net = Module(cutting.filled(jnp.ones((4, 8))), cutting.filled(jnp.ones((8, 4)), 1), jnp.tanh, "net", 2)
    if settings.get("keep") == "alive":
        net.a, net.b = net.a.at[:, 4:].set(0.0), net.b.at[4:].set(0.0)
    x = cutting.filled(jnp.ones((3, 4)), 2)
    small = structure.shrink(lambda net, x: net(x), net, x, **settings)
    assert isinstance(small.params, Module)
    assert (small.params.a.shape, small.params.name, small.native) == ((4, 4), "net", native)
    assert small.after.parameters == 32
    assert small.error <= 1e-5


def test_blocks_and_costs_of_modules_with_leaves_that_are_no_arrays():
    w = cutting.filled(jnp.ones((4, 4)))
    nets = {f"b{i}": Module(w, w * scale, jnp.tanh, "net", 1) for i, scale in enumerate((1.0, 0.0))}
    x = jnp.ones((2, 4))

    def fn(nets, x):
        return nets["b1"](nets["b0"](x))

    assert structure.drop_blocks(fn, nets, x, pattern="(b.)/[ab]", keep=1).kept == ("b0",)
    seconds = structure.latency(limit=5.0, clock=lambda call: float(len(call())))
    assert structure.shrink(lambda net, x: net(x), nets["b0"], x, budget=seconds).params.a.shape == (4, 4)
    assert measure.flops(fn, nets, x) > 2 * 4 * 2 * 16
    assert [row["path"] for row in measure.summary(nets, fn, x).rows] == [
        "b0/a", "b0/b", "b0/turns", "b1/a", "b1/b", "b1/turns", "total"
    ]  # fmt: skip


def test_results_that_are_not_finite_are_refused():
    fn, p, x = mlp()
    with pytest.raises(ValueError, match="not finite"):
        structure.shrink(fn, p, x.at[0, 0].set(jnp.nan), keep=0.5)
