"""Observed statistics equal brute force: rows collected one by one with NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret
from compressjax.interpret import observe
from tests import helpers
from tests.interpret import samples


def assert_statistics(got: Any, rows: Any, what: str = "") -> None:
    """Every field of a record, from the rows that are multiplied with the weight."""
    rows = helpers.float64(rows)
    assert float(got.count) == len(rows), what
    samples.assert_close(got.total, rows.sum(0), what)
    samples.assert_close(got.squares, (rows**2).sum(0), what)
    samples.assert_close(got.largest, np.abs(rows).max(0), what)
    if got.gram is not None:
        samples.assert_close(got.gram, rows.T @ rows, what)


@pytest.fixture
def x() -> jax.Array:
    """Rows."""
    return samples.floats(samples.rng(1), 5, 4)


def weights(*shape: int, seed: int = 0) -> dict[str, jax.Array]:
    """A tree with one kernel."""
    return {"kernel": samples.floats(samples.rng(seed), *shape)}


def test_results_are_those_of_the_function(x: jax.Array) -> None:
    f = lambda p, x: {"y": jnp.tanh(x @ p["kernel"]), "n": 3}  # noqa: E731
    p = weights(4, 3)
    out, stats = observe(f)(p, x)
    np.testing.assert_array_equal(out["y"], f(p, x)["y"])
    assert out["n"] == 3
    assert list(stats) == ["kernel"]


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("spec", "w_shape", "x_shape"),
    [
        ("ni,io->no", (4, 3), (5, 4)),
        ("bti,ihd->bthd", (4, 2, 3), (2, 5, 4)),
        ("bthd,hdo->bto", (2, 3, 4), (2, 5, 2, 3)),
        ("nd,vd->nv", (6, 4), (5, 4)),
        ("in,io->on", (4, 3), (4, 5)),
        ("nab,oba->no", (3, 4, 2), (5, 2, 4)),
    ],
)
def test_einsums(spec: str, w_shape: tuple[int, ...], x_shape: tuple[int, ...]) -> None:
    """Rows of x from the einsum letters: summed letters in the order of the weight, all others are positions."""
    p, x = weights(*w_shape), samples.floats(samples.rng(1), *x_shape)
    x_letters, w_letters = spec.split("->")[0].split(",")
    summed = [c for c in w_letters if c in x_letters]
    free = [c for c in x_letters if c not in summed]
    order = [x_letters.index(c) for c in (*free, *summed)]
    rows = np.transpose(x, order).reshape(-1, np.prod([x_shape[x_letters.index(c)] for c in summed]))
    for f in (lambda p, x: jnp.einsum(spec, x, p["kernel"]), jax.jit(lambda p, x: jnp.einsum(spec, x, p["kernel"]))):
        assert_statistics(observe(f)(p, x)[1]["kernel"], rows)


def test_experts_have_a_record_each() -> None:
    p, x = weights(3, 4, 2), samples.floats(samples.rng(1), 5, 3, 4)
    stats = observe(lambda p, x: jnp.einsum("nei,eio->neo", x, p["kernel"]))(p, x)[1]["kernel"]
    assert stats.count.tolist() == [5.0] * 3
    for e in range(3):
        assert_statistics(jax.tree.map(lambda v, e=e: v[e], stats), x[:, e])


CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "same": ((2, 4, 5, 3), (3, 3, 3, 4), {"padding": "SAME"}),
    "strides": ((2, 5, 5, 3), (3, 2, 3, 4), {"window_strides": (2, 1)}),
    "explicit padding": ((1, 4, 4, 2), (3, 3, 2, 4), {"padding": ((2, 1), (0, 2))}),
    "kernel dilation": ((2, 6, 6, 2), (2, 3, 2, 4), {"rhs_dilation": (2, 2)}),
    "input dilation": ((2, 3, 3, 2), (3, 3, 2, 4), {"lhs_dilation": (2, 3), "padding": ((2, 1), (1, 2))}),
    "groups": ((2, 4, 4, 4), (3, 3, 2, 6), {"feature_group_count": 2, "padding": "SAME"}),
    "depthwise": ((2, 4, 4, 3), (3, 3, 1, 6), {"feature_group_count": 3, "padding": "SAME"}),
    "channels first": (
        (2, 3, 4, 4), (5, 3, 2, 2), {"padding": "SAME", "dimension_numbers": ("NCHW", "OIHW", "NCHW")},
    ),
}  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case: str) -> None:
    """The rows of a convolution are its patches, found by convolution with one-hot kernels."""
    x_shape, k_shape, given = CONVOLUTIONS[case]
    arguments = {"window_strides": (1, 1), "padding": "VALID", "dimension_numbers": ("NHWC", "HWIO", "NHWC"), **given}
    f = lambda p, x: jax.lax.conv_general_dilated(x, p["kernel"], **arguments)  # noqa: E731
    p, x = weights(*k_shape), samples.floats(samples.rng(1), *x_shape)
    params = samples.equation(f, p, x).params
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    out_axis = numbers.rhs_spec[0]
    entries = [d for a, d in enumerate(k_shape) if a != out_axis]
    columns = []
    for index in np.ndindex(*entries):
        probe = np.zeros(k_shape)
        where = list(index)
        where.insert(out_axis, slice(None))
        probe[tuple(where)] = 1.0
        met = np.transpose(samples.convolution(x, probe, params), numbers.out_spec)  # [n, out, *positions]
        per_group = k_shape[out_axis] // groups
        columns.append(met[:, ::per_group].ravel())
    stats = observe(f)(p, x)[1]["kernel"]
    # Rows are in the order of the layout's inputs: channels last.
    places = np.arange(len(columns)).reshape(entries)
    axes = [a for a in range(len(k_shape)) if a != out_axis]
    order = places.transpose([axes.index(a) for a in stats.layout.inputs]).ravel()
    assert stats.layout.inputs[-1] == numbers.rhs_spec[1]
    assert_statistics(stats, np.stack(columns, 1)[:, order], case)


def layers(p: Any, x: jax.Array) -> jax.Array:
    """A stack as a scan."""
    return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p["kernel"])[0]


def layer_inputs(p: Any, x: Any) -> list[np.ndarray]:
    """The inputs of each layer of the stack."""
    rows = [helpers.float64(x)]
    for w in helpers.float64(p["kernel"]):
        rows.append(np.tanh(rows[-1] @ w))
    return rows[:-1]


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint], ids=["plain", "jit", "remat"])
def test_stacked_layers_have_a_record_each(wrap: Any, x: jax.Array) -> None:
    p = weights(3, 4, 4)
    stats = observe(wrap(layers))(p, x)[1]["kernel"]
    assert stats.gram.shape == (3, 4, 4)
    for i, rows in enumerate(layer_inputs(p, x)):
        assert_statistics(jax.tree.map(lambda v, i=i: v[i], stats), rows)


def recurrent(p: Any, xs: jax.Array) -> jax.Array:
    """One kernel for all steps."""
    return jax.lax.scan(lambda h, x: (jnp.tanh(h @ p["kernel"] + x), None), jnp.zeros_like(xs[0]), xs)[0]


@pytest.mark.parametrize("loop", ["scan", "while"])
def test_weights_that_a_loop_closes_over_add_up(loop: str) -> None:
    p, xs = weights(4, 4), samples.floats(samples.rng(1), 6, 2, 4)

    def by_while(p: Any, xs: jax.Array) -> jax.Array:
        step = lambda c: (c[0] + 1, jnp.tanh(c[1] @ p["kernel"] + xs[c[0]]))  # noqa: E731
        return jax.lax.while_loop(lambda c: c[0] < 6, step, (0, jnp.zeros_like(xs[0])))[1]

    h, rows = np.zeros((2, 4)), []
    for x in helpers.float64(xs):
        rows.append(h)
        h = np.tanh(h @ helpers.float64(p["kernel"]) + x)
    out, stats = jax.jit(observe(recurrent if loop == "scan" else by_while))(p, xs)
    assert_statistics(stats["kernel"], np.concatenate(rows))
    samples.assert_close(out, h)


def test_loops_of_no_iterations() -> None:
    out, stats = observe(lambda p, xs: jax.lax.scan(lambda h, x: (h @ p["kernel"], None), jnp.ones((2, 4)), xs)[0])(
        weights(4, 4), jnp.zeros((0, 2, 4))
    )
    assert out.tolist() == np.ones((2, 4)).tolist()
    assert float(stats["kernel"].count) == 0.0
    skipped = lambda p, x: jax.lax.while_loop(lambda c: c.sum() > 1e9, lambda c: c @ p["kernel"], x)  # noqa: E731
    _, stats = observe(skipped)(weights(4, 4), jnp.ones((2, 4)))
    assert float(stats["kernel"].count) == 0.0


@pytest.mark.parametrize("branch", [0, 1, 2])
def test_only_the_branch_that_ran_counts(branch: int, x: jax.Array) -> None:
    p = {"a": samples.floats(samples.rng(), 4, 4), "b": samples.floats(samples.rng(2), 4, 4)}

    def f(p: Any, x: jax.Array, i: jax.Array) -> jax.Array:
        return jax.lax.switch(i, [lambda: x @ p["a"], lambda: 2 * x @ p["b"], lambda: (x @ p["a"]) @ p["a"]])

    _, stats = jax.jit(observe(f))(p, x, branch)
    met = {"a": [x], "b": []}, {"a": [], "b": [2 * x]}, {"a": [x, x @ p["a"]], "b": []}
    for path, rows in met[branch].items():
        if rows:
            assert_statistics(stats[path], np.concatenate(rows))
        else:
            assert float(stats[path].count) == 0.0
            assert not np.asarray(stats[path].gram).any()


def test_a_weight_used_twice(x: jax.Array) -> None:
    """Over the same axes records add up; a transposed use is another record, even of a square kernel."""
    p = weights(4, 4)
    _, stats = observe(lambda p, x: (x @ p["kernel"]) @ p["kernel"] + jnp.sin(x) @ p["kernel"].T)(p, x)
    assert set(stats) == {"kernel", "kernel#1"}
    assert_statistics(stats["kernel"], np.concatenate([x, x @ p["kernel"]]))
    assert_statistics(stats["kernel#1"], np.sin(x))
    table = weights(6, 4)
    _, stats = observe(lambda p, x: x @ p["kernel"].reshape(2, 3, 4).reshape(6, 4).T)(table, x)
    assert list(stats) == ["kernel"]
    assert_statistics(stats["kernel"], x)


def test_custom_derivatives_and_gradients(x: jax.Array) -> None:
    @jax.custom_vjp
    def product(w: jax.Array, x: jax.Array) -> jax.Array:
        return x @ w

    product.defvjp(lambda w, x: (product(w, x), w), lambda w, g: (jnp.full_like(w, 7.0), g @ w.T))
    p = weights(4, 3)

    def loss(p: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(jax.checkpoint(lambda p, x: product(p["kernel"], x))(p, x))

    grads, stats = jax.jit(jax.grad(observe(loss), has_aux=True))(p, x)
    np.testing.assert_array_equal(grads["kernel"], np.full((4, 3), 7.0))
    assert_statistics(stats["kernel"], x)
    stacked = weights(3, 4, 4)
    grads, stats = jax.grad(lambda p: (lambda o: (jnp.sum(o[0]), o[1]))(observe(layers)(p, x)), has_aux=True)(stacked)
    samples.assert_close(grads["kernel"], jax.grad(lambda p: jnp.sum(layers(p, x)))(stacked)["kernel"])
    assert_statistics(jax.tree.map(lambda v: v[2], stats["kernel"]), layer_inputs(stacked, x)[2])


def test_vmap_gives_records_to_merge(x: jax.Array) -> None:
    p, many = weights(4, 3), jnp.stack([x, 2 * x, 3 * x])
    _, stats = jax.vmap(observe(lambda p, x: x @ p["kernel"]), (None, 0))(p, many)
    assert stats["kernel"].gram.shape == (3, 4, 4)
    total = interpret.merge(*(jax.tree.map(lambda v, i=i: v[i], stats["kernel"]) for i in (0, 1)))
    assert_statistics(total, np.concatenate(many[:2]))
    inner = observe(lambda p, xs: jax.vmap(lambda x: x @ p["kernel"])(xs))(p, many)[1]
    assert_statistics(inner["kernel"], np.concatenate(many))


@pytest.mark.thorough
def test_inside_shard_map_records_are_local(x: jax.Array) -> None:
    mesh = jax.make_mesh((2,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    rows = jnp.concatenate([x, 3 * x])

    def f(p: Any, x: jax.Array) -> Any:
        _, stats = observe(lambda p, x: recurrent(p, x[None]) @ p["kernel"])(p, x)
        return jax.tree.map(lambda v: jax.lax.psum(v, "d"), stats["kernel"]).replace(largest=None)

    total = jax.shard_map(f, mesh=mesh, in_specs=(spec(), spec("d")), out_specs=spec())(weights(4, 4), rows)
    met = np.concatenate([np.zeros((10, 4)), np.tanh(helpers.float64(rows))])
    samples.assert_close(total.gram, met.T @ met)


def test_under_jit_with_named_sharding(x: jax.Array) -> None:
    mesh = jax.make_mesh((2,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.device_put(x[:4], jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d")))
    assert_statistics(jax.jit(observe(lambda p, x: x @ p["kernel"]))(weights(4, 3), rows)[1]["kernel"], x[:4])


def test_nodes_are_observed_too(x: jax.Array) -> None:
    node = samples.low_rank(samples.rng(), (4, 3))
    out, stats = observe(lambda p, x: jnp.sin(x) @ p["kernel"])({"kernel": node}, x)
    assert_statistics(stats["kernel"], np.sin(x))
    samples.assert_close(out, np.sin(x) @ helpers.brute(node))


def test_selection_and_what_is_kept(x: jax.Array) -> None:
    p = {"a": {"kernel": jnp.ones((4, 4)), "bias": jnp.ones(4)}, "b": {"kernel": jnp.ones((4, 4))}}
    f = lambda p, x: (x @ p["a"]["kernel"] + p["a"]["bias"][None]) @ p["b"]["kernel"]  # noqa: E731
    assert set(observe(f)(p, x)[1]) == {"a/kernel", "b/kernel"}
    assert set(observe(f, select="b/.*")(p, x)[1]) == {"b/kernel"}
    assert observe(f, gram=False)(p, x)[1]["a/kernel"].gram is None
    with pytest.raises(ValueError, match="selects nothing.*a/bias"):
        observe(f, select="c/.*")(p, x)


def test_elementwise_uses_leave_no_record(x: jax.Array) -> None:
    p = weights(4, 3) | {"other": jnp.ones((4, 2))}
    out, stats = observe(lambda p, x: (x * p["kernel"][:, :1].T + jnp.sum(p["kernel"])) @ p["other"])(p, x)
    assert list(stats) == ["other"]
    assert out.shape == (5, 2)


def test_one_slice_at_a_time(x: jax.Array) -> None:
    """Layers that a Python loop takes from a stack share a record over the input axis of the stack."""
    p = weights(3, 4, 4)

    def f(p: Any, x: jax.Array) -> jax.Array:
        for i in range(3):
            x = jnp.tanh(x @ p["kernel"][i])
        return x

    assert_statistics(observe(f)(p, x)[1]["kernel"], np.concatenate(layer_inputs(p, x)))


def test_an_observation_of_nothing_is_refused(x: jax.Array) -> None:
    p = weights(4, 3)
    with pytest.raises(ValueError, match=r"none of \['kernel'\] is in a product"):
        observe(lambda p, x: x + p["kernel"].sum())(p, x)
    with pytest.raises(ValueError, match=r"'kernel' has inputs without rows, \(0, 4\)"):
        jax.eval_shape(observe(lambda p, x: x @ p["kernel"]), p, x[:0])
    with pytest.raises(ValueError, match="observe: 'kernel' has 1 non-finite sums of squared inputs of 4"):
        observe(lambda p, x: x @ p["kernel"])(p, x.at[2, 1].set(jnp.nan))
    # A batch need not reach every leaf: methods check the sum over batches.
    skipped = observe(lambda p, x: jax.lax.cond(x[0, 0] > 9, lambda: x @ p["kernel"], lambda: x[:, :3]))(p, x)
    assert float(skipped[1]["kernel"].count) == 0
