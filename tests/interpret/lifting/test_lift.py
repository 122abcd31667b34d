"""`lift` and `explain` from the view of users: records, warnings, transformations, sharding, frameworks."""

import warnings
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding

from compressjax import core, interpret, tensors
from compressjax.core import ops
from compressjax.core.ops import Spec
from compressjax.interpret.lifting._lift import describe
from tests import helpers
from tests.interpret import samples

IDS = list(samples.zoo((4, 4)))


def network(p: Any, x: jax.Array) -> jax.Array:
    """Two layers and a norm of the weights' columns: native, dense and fallback uses."""
    h = jnp.tanh(x @ p["a"] + p["bias"][None])
    return h @ p["b"].T


def params(draw: np.random.Generator, node: Any) -> dict[str, Any]:
    """A tree with one node of interest and a second of low rank."""
    return {"a": node, "b": samples.low_rank(draw, (4, 4)), "bias": samples.floats(draw, 4)}


@pytest.fixture
def x() -> jax.Array:
    """Rows."""
    return samples.floats(samples.rng(9), 3, 4)


def dense_reference(p: Any, x: Any) -> np.ndarray:
    """The network in NumPy."""
    a, b = helpers.brute(p["a"]), helpers.brute(p["b"])
    return np.tanh(helpers.float64(x) @ a + helpers.float64(p["bias"])) @ b.T


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", IDS)
def test_transformations_in_every_order(name: str, x: jax.Array) -> None:
    """jit, vmap over x, grad by values and by x, jvp: all equal those of the function on materialized weights."""
    draw = samples.rng(3)
    p = params(draw, samples.zoo((4, 4))[name])
    f, many = interpret.lift(network, on_fallback="raise"), jnp.stack([x, -x])
    values, tangent = core.values(p), jnp.ones_like(x)

    def loss(g: Any) -> Any:
        return lambda v, x: jnp.sum(jnp.sin(g(core.with_values(p, v), x)))

    def densely(p: Any, x: jax.Array) -> jax.Array:
        return network(core.materialize(p), x)

    def everything(f: Any) -> Any:
        return {
            "value": f(p, x),
            "vmap": jax.vmap(f, (None, 0))(p, many),
            "grad": jax.grad(loss(f), (0, 1))(values, x),
            "jvp": jax.jvp(lambda x: f(p, x), (x,), (tangent,))[1],
            "grad of vmap": jax.grad(lambda v: jnp.sum(jax.vmap(lambda x: loss(f)(v, x))(many)))(values),
            "vmap of grad": jax.vmap(lambda x: jax.grad(loss(f), 1)(values, x))(many),
        }

    got, asked = samples.quick(lambda: (everything(f), everything(densely)))()
    samples.assert_close(got["value"], dense_reference(p, x))
    for what in got:
        for a, b in zip(jax.tree.leaves(got[what]), jax.tree.leaves(asked[what]), strict=True):
            samples.assert_close(a, b, what, 1e-4)


@pytest.mark.parametrize("name", ["dynamic", "static affine, 4 bits"])
def test_gradients_past_integer_activations(name: str, x: jax.Array) -> None:
    """Derivatives are those of the dense product at the rounded values (straight through)."""
    p = params(samples.rng(3), samples.active((4, 4))[name])
    got = jax.jit(jax.grad(lambda p: jnp.sum(interpret.lift(network)(p, x)), allow_int=True))(p)
    asked = jax.jit(jax.grad(lambda p: jnp.sum(network(core.materialize(p), x)), allow_int=True))(p)
    assert got["a"].codes.dtype == jax.dtypes.float0
    samples.assert_close(got["a"].scale, asked["a"].scale, tolerance=0.05)
    samples.assert_close(got["b"].left, asked["b"].left, tolerance=0.05)


@pytest.mark.thorough
def test_vmap_over_stacked_nodes() -> None:
    x = samples.floats(samples.rng(), 3, 4)
    nodes = {**samples.zoo((4, 4)), **samples.active((4, 4))}
    stacked = jax.tree.map(lambda v: np.stack([v, v[::-1] if v.ndim else v]), nodes)
    got = samples.quick(jax.vmap(samples.lifted(lambda ws, x: {k: x @ w for k, w in ws.items()}), (0, None)))(
        stacked, x
    )
    for name, node in stacked.items():
        for i in range(2):
            one = jax.tree.map(lambda v, i=i: np.asarray(v)[i], node)
            rough = 0.05 if getattr(one, "activation", None) else 2e-5
            samples.assert_close(got[name][i], helpers.float64(x) @ helpers.brute(one), name, rough)


def test_without_nodes_the_program_is_the_original() -> None:
    p = {"a": jnp.ones((4, 4)), "b": jnp.ones((4, 4)), "bias": jnp.ones(4)}
    x = jnp.ones((3, 4))

    def text(f: Any) -> str:
        return jax.jit(f).lower(p, x).as_text().partition("\n")[2]

    assert text(interpret.lift(network)) == text(network)
    compiled = [jax.jit(f).lower(p, x).compile().cost_analysis()["flops"] for f in (network, interpret.lift(network))]
    assert compiled[0] == compiled[1]
    assert interpret.lift(lambda p, s: s)({}, "text") == "text"


def test_one_trace_for_many_calls(x: jax.Array) -> None:
    traces = []

    def counted(p: Any, x: jax.Array) -> jax.Array:
        traces.append(1)
        return network(p, x)

    f = jax.jit(interpret.lift(counted))
    draw = samples.rng()
    for i in range(4):
        f(params(draw, samples.low_rank(samples.rng(i), (4, 4))), x + i)
    assert len(traces) == 1
    grad = jax.jit(jax.grad(lambda p, x: jnp.sum(interpret.lift(counted)(p, x))))
    for i in range(3):
        grad(params(draw, samples.low_rank(samples.rng(i), (4, 4))), x)
    assert len(traces) == 2


def norms(p: Any) -> jax.Array:
    """An operation that no node has a rule for."""
    return jnp.sum(jnp.sort(p["a"], axis=0)[0]) + jnp.sum(p["vector"])


def test_fallback_warns_once_with_path_and_remedy() -> None:
    p = {"a": samples.codebook(samples.rng(), 4, 4), "vector": samples.codebook(samples.rng(), 4)}
    with pytest.warns(interpret.FallbackWarning) as caught:
        interpret.lift(norms)(p)
    (message,) = [str(w.message) for w in caught]
    assert message.startswith("lift: a (Codebook (4, 4)) was made dense for sort")
    assert 'on_fallback="ignore"' in message


def test_fallback_raises_or_keeps_silent() -> None:
    p = {"a": samples.codebook(samples.rng(), 4, 4), "vector": samples.codebook(samples.rng(), 4)}
    with pytest.raises(ValueError, match="a .*made dense for sort"):
        jax.jit(interpret.lift(norms, on_fallback="raise"))(p)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interpret.lift(norms, on_fallback="ignore")(p)
        interpret.lift(network, on_fallback="raise")(params(samples.rng(), p["a"]), jnp.ones((2, 4)))
    with pytest.raises(ValueError, match="on_fallback='loud'; use"):
        interpret.lift(norms, on_fallback="loud")


def test_explain_gives_a_row_for_every_weight_and_operation(x: jax.Array) -> None:
    draw = samples.rng()
    p = {
        "a": tensors.Masked(samples.codebook(draw, 4, 4), samples.mask(draw, 4, 4)),
        "b": samples.low_rank(draw, (4, 4)),
    }
    p["bias"], p["vector"] = samples.floats(draw, 4), samples.codebook(draw, 4)
    rows = interpret.explain(lambda p, x: network(p, x).sum() + norms(p))(p, x)
    asked = {
        ("a", "Masked(Codebook)", "dense", "dot_general"),
        ("b", "LowRank", "native", "dot_general"),
        ("a", "Masked(Codebook)", "fallback", "sort"),
        ("vector", "Codebook", "dense", "reduce_sum"),
    }
    assert {tuple(row[:4]) for row in rows} == asked
    assert all(row.reason for row in rows if row.status != "native")
    abstract = jax.eval_shape(lambda: (p, x))
    assert interpret.explain(lambda p, x: network(p, x).sum() + norms(p))(*abstract) == rows
    assert interpret.explain(network)({"a": jnp.ones((4, 4)), "b": jnp.ones((4, 4)), "bias": jnp.ones(4)}, x) == []


def test_explain_has_a_row_for_weights_that_nothing_reads() -> None:
    """At any depth of the tree, beside a weight that is only handed on to a loop that does not read it."""
    draw = samples.rng()
    p = {
        "used": samples.low_rank(draw, (4, 4)),
        "spare": [samples.codebook(draw, 3, 4)],
        "stack": samples.grid(draw, (2, 4, 4)),
    }

    def f(p: Any, x: jax.Array) -> jax.Array:
        x, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h), None), x @ p["used"], p["stack"])
        return x

    rows = {row.path: row for row in interpret.explain(f)(p, jnp.ones((2, 4)))}
    assert {path: row.status for path, row in rows.items()} == {
        "used": "native", "spare/0": "unused", "stack": "unused"
    }  # fmt: skip
    assert rows["spare/0"] == ("spare/0", "Codebook", "unused", "", "the function does not read it")


def test_descriptions_show_the_nesting() -> None:
    draw = samples.rng()
    table = samples.codebook(draw, 4, 2, table=samples.grid(draw, (6,)))
    node = tensors.LowRank(table, tensors.Masked(samples.floats(draw, 2, 4), samples.mask(draw, 2, 4)))
    assert describe(node) == "LowRank(Codebook(Quantized), Masked)"
    assert describe(tensors.Sum((node, jnp.ones((4, 4)), node))).startswith("Sum(LowRank(")
    assert describe(jnp.ones(2)) == "dense"


AUTO = AxisType.Auto


@pytest.mark.turns(3)
@pytest.mark.parametrize("spec", [Spec(), Spec(None, "d"), Spec("d")], ids=str)
def test_under_jit_with_named_sharding(spec: Spec, x: jax.Array) -> None:
    """Nodes placed as their dense kernels would be: same numbers, and no device holds more than its share."""
    mesh = jax.make_mesh((2,), ("d",), axis_types=(AUTO,))
    nodes, trees = {**samples.zoo((4, 4)), **samples.active((4, 4))}, {}
    for name, node in nodes.items():
        specs = ops.specs(node, spec, dict(mesh.shape))
        placed = jax.tree.map(lambda v, s: jax.device_put(v, NamedSharding(mesh, s)), node, specs)
        trees[name] = params(samples.rng(3), placed)
    rows = jax.device_put(x[:2], NamedSharding(mesh, Spec("d")))
    got = samples.quick(samples.lifted(lambda ps, x: {name: network(p, x) for name, p in ps.items()}))(trees, rows)
    for name, node in nodes.items():
        rough = 0.05 if getattr(node, "activation", None) else 2e-5
        samples.assert_close(got[name], dense_reference({**trees[name], "a": node}, x[:2]), name, rough)


@pytest.mark.turns(2)
@pytest.mark.parametrize("check", [True, False])
def test_inside_shard_map(check: bool, x: jax.Array) -> None:
    mesh = jax.make_mesh((2,), ("d",), axis_types=(AUTO,))
    rows = jnp.concatenate([x, -x])
    for name in ("masked", "low rank, 1 inputs", "grid, affine", "codebook", "sum, 1 inputs"):
        p = params(samples.rng(3), samples.zoo((4, 4))[name])
        f = jax.shard_map(
            samples.lifted(network), mesh=mesh, in_specs=(Spec(), Spec("d")), out_specs=Spec("d"), check_vma=check
        )
        samples.assert_close(jax.jit(f)(p, rows), dense_reference(p, rows), name)
    p = params(samples.rng(3), samples.active((4, 4))["dynamic"])
    f = jax.shard_map(
        interpret.lift(network), mesh=mesh, in_specs=(Spec(), Spec("d")), out_specs=Spec("d"), check_vma=check
    )
    samples.assert_close(f(p, rows), dense_reference(p, rows), tolerance=0.05)


class Attention(nn.Module):
    """A Linen block with every kind of kernel."""

    @nn.compact
    def __call__(self, ids: jax.Array) -> jax.Array:
        """Tokens `[n, length]` to logits."""
        embed = nn.Embed(7, 8)
        h = embed(ids)
        h = h + nn.MultiHeadDotProductAttention(num_heads=2)(nn.LayerNorm()(h))
        h = h + nn.Dense(8)(nn.gelu(nn.Dense(16)(nn.LayerNorm()(h))))
        return embed.attend(nn.LayerNorm()(h))


def low_rank_tree(tree: Any) -> Any:
    """Kernels as factors of full rank, so that the numbers stay those of the dense network."""

    def factor(path: str, w: jax.Array) -> Any:
        if w.ndim < 2 or path.endswith("bias"):
            return w
        if w.ndim == 2 or path.endswith("out/kernel"):
            return tensors.LowRank(w, jnp.eye(w.shape[-1]), w.ndim - 1)
        return tensors.LowRank(jnp.eye(w.shape[0]), w, 1)

    return core.map_values(factor, tree)


@pytest.mark.thorough
def test_linen_transformer() -> None:
    model, ids = Attention(), jnp.array([[1, 2, 3], [6, 0, 1]])
    dense = jax.jit(model.init)(jax.random.key(0), ids)
    tree = low_rank_tree(dense)
    got = jax.jit(interpret.lift(model.apply, on_fallback="raise"))(tree, ids)
    samples.assert_close(got, jax.jit(model.apply)(dense, ids), tolerance=1e-4)
    rows = interpret.explain(model.apply)(tree, ids)
    assert {r.status for r in rows} == {"native"}
    assert len({r.path for r in rows}) == sum(isinstance(n, core.Node) for n in core.nodes(tree).values())
    capture = lambda p, i: model.apply(p, i, mutable=["intermediates"], capture_intermediates=True)  # noqa: E731
    out, state = jax.jit(interpret.lift(capture))(tree, ids)
    samples.assert_close(out, got)
    assert "intermediates" in state


def test_nnx_modules() -> None:
    model = nnx.Sequential(nnx.Linear(4, 6, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(6, 2, rngs=nnx.Rngs(1)))
    graph, state = nnx.split(model)
    x = samples.floats(samples.rng(), 3, 4)
    asked = model(x)

    def apply(state: Any, x: jax.Array) -> jax.Array:
        return nnx.merge(graph, state)(x)

    tree = core.map_values(lambda path, w: tensors.LowRank(w, jnp.eye(w.shape[-1])) if w.ndim == 2 else w, state)
    samples.assert_close(jax.jit(interpret.lift(apply, on_fallback="raise"))(tree, x), asked)
    rows = interpret.explain(apply)(tree, x)
    assert {r.status for r in rows} == {"native"}
    assert len(rows) == 2
    grads = jax.jit(jax.grad(lambda t: jnp.sum(interpret.lift(apply)(t, x))))(tree)
    assert len(jax.tree.leaves(grads)) == len(jax.tree.leaves(tree))


def test_haiku_like_pairs_of_functions() -> None:
    """Two-level dicts of parameters and an apply with a key, as Haiku's `transform` makes them."""
    p = {"mlp/~/linear_0": {"w": samples.low_rank(samples.rng(), (4, 3)), "b": jnp.ones(3)}}

    def apply(params: Any, key: jax.Array, x: jax.Array, is_training: bool) -> jax.Array:
        layer = params["mlp/~/linear_0"]
        y = x @ layer["w"] + layer["b"][None]
        return y + jax.random.normal(key, y.shape) if is_training else y

    key, x = jax.random.key(0), jnp.ones((2, 4))
    asked = np.ones((2, 4)) @ helpers.brute(p["mlp/~/linear_0"]["w"]) + 1
    samples.assert_close(interpret.lift(apply)(p, key, x, False), asked)
    samples.assert_close(interpret.lift(apply)(p, key, x, True), asked + np.asarray(jax.random.normal(key, (2, 3))))
    assert interpret.explain(apply)(p, key, x, False)[0].path == "mlp/~/linear_0/w"
