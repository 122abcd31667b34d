"""Convolutions with compressed kernels, against loops over output positions."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, tensors
from compressjax.interpret.lifting._conv import apply_conv
from compressjax.tensors.quantized import _conv
from tests import helpers
from tests.interpret import samples

NHWC, NCHW, HWNC = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("HWNC", "HWOI", "CHWN")
# x's shape, the kernel's shape, arguments.
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "same": ((2, 5, 4, 3), (3, 3, 3, 4), {"padding": "SAME", "dimension_numbers": NHWC}),
    "valid, strides": ((2, 6, 5, 3), (3, 2, 3, 4), {"window_strides": (2, 1), "dimension_numbers": NHWC}),
    "explicit padding": ((1, 4, 4, 2), (3, 3, 2, 4), {"padding": ((2, 1), (0, 2)), "dimension_numbers": NHWC}),
    "negative padding": ((1, 6, 6, 2), (3, 3, 2, 4), {"padding": ((-1, 0), (1, -1)), "dimension_numbers": NHWC}),
    "kernel dilation": ((2, 6, 6, 2), (2, 3, 2, 4), {"rhs_dilation": (2, 2), "dimension_numbers": NHWC}),
    "input dilation": (
        (2, 3, 3, 2), (3, 3, 2, 4),
        {"lhs_dilation": (2, 3), "padding": ((2, 1), (1, 2)), "dimension_numbers": NHWC},
    ),
    "groups": ((2, 4, 4, 4), (3, 3, 2, 6), {"feature_group_count": 2, "padding": "SAME", "dimension_numbers": NHWC}),
    "depthwise": ((2, 4, 4, 3), (3, 3, 1, 6), {"feature_group_count": 3, "padding": "SAME", "dimension_numbers": NHWC}),
    "one by one": ((2, 3, 3, 4), (1, 1, 4, 5), {"dimension_numbers": NHWC}),
    "channels first": ((2, 3, 5, 4), (4, 3, 3, 3), {"padding": "SAME", "dimension_numbers": NCHW}),
    "channels first, groups": ((2, 4, 4, 4), (6, 2, 3, 3), {"feature_group_count": 2, "dimension_numbers": NCHW}),
    "other layouts": ((5, 4, 2, 3), (3, 3, 4, 3), {"dimension_numbers": HWNC}),
    "one dimension": ((2, 7, 3), (3, 3, 4), {"padding": "SAME", "dimension_numbers": ("NWC", "WIO", "NWC")}),
    "three dimensions": ((1, 3, 4, 3, 2), (2, 2, 2, 2, 3), {"dimension_numbers": ("NDHWC", "DHWIO", "NDHWC")}),
}  # fmt: skip


def program(case: str) -> tuple[Any, jax.Array, tuple[int, ...], dict[str, Any]]:
    """The function of kernel and x, x, the kernel's shape, and the equation's parameters."""
    x_shape, k_shape, given = CASES[case]
    spatial = len(x_shape) - 2
    arguments = {"window_strides": (1,) * spatial, "padding": "VALID", **given}

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(x, w, **arguments)

    x = samples.floats(samples.rng(5), *x_shape)
    return f, x, k_shape, samples.equation(f, jnp.ones(k_shape), x).params


def nodes_of(shape: tuple[int, ...]) -> dict[str, Any]:
    """One node of a kind: what a convolution distinguishes is the placing of scales and factors."""
    every = samples.zoo(shape)
    return {k: v for k, v in every.items() if not k.startswith(("low rank of grids", "masked c"))}


@pytest.mark.turns(2)
@pytest.mark.parametrize("case", CASES)
def test_convolutions_of_every_node(case: str) -> None:
    f, x, shape, params = program(case)
    nodes = nodes_of(shape)
    got = samples.quick(samples.lifted(lambda ws, x: {name: f(w, x) for name, w in ws.items()}))(nodes, x)
    for name, node in nodes.items():
        samples.assert_close(got[name], samples.convolution(x, helpers.brute(node), params), name)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets kernels of any size run in integers, so that small ones suffice here."""
    monkeypatch.setattr(_conv, "FEWEST_TERMS", 1)


@pytest.mark.turns(2)
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("case", CASES)
def test_integer_convolutions_within_their_bound(case: str) -> None:
    f, x, shape, params = program(case)
    out_axis = params["dimension_numbers"].rhs_spec[0]
    blocks = tuple(d if a == out_axis else 1 for a, d in enumerate(shape))
    back = tuple(reversed(range(len(shape))))
    draw = samples.rng(1)
    nodes = {
        f"{activation} {order}": samples.grid(draw, shape, blocks, order=order, activation=activation)
        for activation in ("dynamic", "static")
        for order in ((), back)
    }
    got = samples.quick(samples.lifted(lambda ws, x: {name: f(w, x) for name, w in ws.items()}))(nodes, x)
    image = tuple(a for a in range(x.ndim) if a != params["dimension_numbers"].lhs_spec[0])
    for name, node in nodes.items():
        w = helpers.brute(node)
        room = samples.convolution(samples.errors(node, x, image), np.abs(w), params)
        slack = samples.convolution(np.abs(x), np.abs(w), params)
        error = np.abs(helpers.float64(got[name]) - samples.convolution(x, w, params))
        assert (error <= 1.0001 * room + 1e-5 * slack + 1e-6).all(), name
        status = "dense" if case in ("input dilation", "three dimensions") else "native"
        assert samples.statuses(f, node, x) == {("conv_general_dilated", status)}, name


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ("input dilation", "input dilation"),
        ("three dimensions", "one or two dimensions"),
        ("depthwise", "floating point"),
    ],
)
def test_integer_convolutions_that_would_be_slower_run_dense(
    case: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case != "depthwise":
        monkeypatch.setattr(_conv, "FEWEST_TERMS", 1)
    f, x, shape, _ = program(case)
    (row,) = interpret.explain(f)(samples.grid(samples.rng(), shape, activation="dynamic"), x)
    assert row.status == "dense"
    assert word in row.reason


def test_the_integer_convolution_in_hlo_has_the_form_that_runs_fast() -> None:
    """Whatever the layout: int8 operands, channels last, and no transpose of a whole int8 operand."""
    for numbers, x_shape, k_shape in (
        (NHWC, (2, 6, 6, 32), (3, 3, 32, 32)),
        (NCHW, (2, 32, 6, 6), (32, 32, 3, 3)),
        (("NWC", "WIO", "NWC"), (2, 9, 80), (3, 80, 32)),
    ):
        window = (1,) * (len(x_shape) - 2)
        f = lambda w, x: jax.lax.conv_general_dilated(x, w, window, "SAME", dimension_numbers=numbers)  # noqa: B023, E731
        out = numbers[1].index("O")
        node = samples.grid(samples.rng(), k_shape, tuple(d if a == out else 1 for a, d in enumerate(k_shape)))
        node = dataclasses.replace(node, activation="dynamic")
        text = jax.jit(interpret.lift(f, on_fallback="raise")).lower(node, jnp.ones(x_shape)).as_text()
        (line,) = [line for line in text.splitlines() if "stablehlo.convolution" in line]
        assert "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in line
        assert line.count("xi8>") == 2
        assert "xi32>" in line
        whole = "x".join(map(str, k_shape)) + "xi8"
        assert not [t for t in text.splitlines() if "stablehlo.transpose" in t and f"(tensor<{whole}>" in t]


def test_low_rank_kernels_run_thin_in_both_layouts() -> None:
    for case, inputs in (("same", 3), ("channels first", 1)):
        f, x, shape, _ = program(case)
        node = samples.low_rank(samples.rng(), shape, inputs)
        assert samples.statuses(f, node, x) == {("conv_general_dilated", "native")}, case
        jaxpr = jax.make_jaxpr(interpret.lift(f))(node, x)
        assert [e.primitive.name for e in jaxpr.eqns if e.primitive.name != "transpose"] == [
            "conv_general_dilated", "dot_general",
        ], case  # fmt: skip
        assert jaxpr.eqns[0].outvars[0].aval.size == x.size // 3 * node.rank


def test_what_has_no_compressed_form_says_why() -> None:
    draw = samples.rng()
    for case, node, word in [
        ("groups", samples.low_rank(draw, (3, 3, 2, 6), 3), "grouped"),
        ("same", samples.low_rank(draw, (3, 3, 3, 4), 2), "do not split"),
        ("same", samples.grid(draw, (3, 3, 3, 4), (1, 1, 3, 1), activation="dynamic"), "summed axes"),
        ("same", samples.grid(draw, (3, 3, 3, 4), affine=True, activation="dynamic"), "zero point"),
        ("same", samples.codebook(draw, 3, 3, 3, 4), "table of floats"),
    ]:
        f, x, _, params = program(case)
        (row,) = interpret.explain(f)(node, x)
        assert row.status == "dense"
        assert word in row.reason
        samples.assert_close(samples.lifted(f)(node, x), samples.convolution(x, helpers.brute(node), params))


def test_batch_groups_run_dense() -> None:
    """They appear in gradients; the node then becomes dense."""
    node = samples.grid(samples.rng(), (3, 3, 2, 4), (1, 1, 1, 4), activation="dynamic")
    x = samples.floats(samples.rng(1), 4, 5, 5, 2)
    f = lambda w, x: jax.lax.conv_general_dilated(  # noqa: E731
        x, w, (1, 1), "SAME", dimension_numbers=NHWC, batch_group_count=2
    )
    samples.assert_close(samples.lifted(f)(node, x), f(node.materialize(), x))
    assert samples.statuses(f, node, x) == {("conv_general_dilated", "dense")}


def test_a_node_in_the_place_of_the_image_falls_back() -> None:
    f, x, shape, params = program("same")
    node = samples.codebook(samples.rng(), *x.shape)
    kernel = samples.floats(samples.rng(2), *shape)
    samples.assert_close(
        samples.lifted(lambda w, k: f(k, w))(node, kernel), samples.convolution(helpers.brute(node), kernel, params)
    )
    assert samples.statuses(lambda w, k: f(k, w), node, kernel) == {("conv_general_dilated", "fallback")}


def test_sums_of_kernels() -> None:
    draw = samples.rng(2)
    f, x, shape, params = program("same")
    node = tensors.Sum((
        samples.low_rank(draw, shape, 3), samples.grid(draw, shape, (1, 1, 1, 4)), samples.floats(draw, *shape),
    ))  # fmt: skip
    samples.assert_close(interpret.lift(f)(node, x), samples.convolution(x, helpers.brute(node), params))
    assert samples.statuses(f, node, x) == {("conv_general_dilated", "native")}
    plain = tensors.Sum((samples.codebook(draw, *shape), samples.floats(draw, *shape)))
    assert samples.statuses(f, plain, x) == {("conv_general_dilated", "dense")}
    names = [e.primitive.name for e in jax.make_jaxpr(interpret.lift(f))(node, x).eqns]
    assert names.count("conv_general_dilated") == 2  # the thin one, and one for all other terms together


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("activation", ["dynamic", "static"])
def test_a_nan_poisons_its_image_only(activation: str) -> None:
    f, x, shape, _ = program("same")
    node = samples.grid(samples.rng(), shape, (1, 1, 1, 4), activation=activation)
    clean = np.asarray(interpret.lift(f)(node, x))
    out = np.asarray(interpret.lift(f)(node, x.at[1, 0, 0, 0].set(jnp.nan)))
    assert np.isnan(out[1]).all()
    np.testing.assert_array_equal(out[0], clean[0])


@pytest.mark.usefixtures("small")
def test_derivatives_of_integer_convolutions_are_those_of_the_dense_ones() -> None:
    f, x, shape, params = program("valid, strides")
    node = samples.grid(samples.rng(), shape, (1, 1, 1, 4), activation="dynamic")
    tangent = samples.floats(samples.rng(4), *x.shape)
    _, got = jax.jvp(lambda x: interpret.lift(f)(node, x), (x,), (tangent,))
    samples.assert_close(got, samples.convolution(tangent, helpers.brute(node), params))
    cotangent = samples.floats(samples.rng(5), *got.shape)
    grads = jax.grad(lambda n: jnp.sum(cotangent * interpret.lift(f)(n, x)), allow_int=True)(node)
    by_kernel = jax.grad(lambda w: jnp.sum(cotangent * f(w, x)))(node.materialize())
    samples.assert_close(grads.scale, (by_kernel * node.codes).sum((0, 1, 2), keepdims=True))


@pytest.mark.usefixtures("small")
def test_linen_layers() -> None:
    x = samples.floats(samples.rng(), 2, 6, 6, 4)
    layers = {
        "strided": nn.Conv(8, (3, 3), strides=2, padding="VALID"),
        "grouped": nn.Conv(8, (3, 3), feature_group_count=2),
        "transposed": nn.ConvTranspose(8, (3, 3), strides=(2, 2)),
        "dilated": nn.Conv(8, (3, 3), kernel_dilation=2),
        "circular": nn.Conv(8, (3, 3), padding="CIRCULAR"),
    }
    for name, layer in layers.items():
        shape = jax.eval_shape(layer.init, jax.random.key(0), x)["params"]["kernel"].shape
        node = samples.grid(samples.rng(), shape, (1, 1, 1, 8), activation="dynamic")
        tree = {"params": {"kernel": node, "bias": jnp.arange(8.0)}}
        asked = layer.apply({"params": {"kernel": node.materialize(), "bias": jnp.arange(8.0)}}, x)
        got = jax.jit(interpret.lift(layer.apply, on_fallback="raise"))(tree, x)
        assert np.abs(got - asked).max() <= np.abs(x).max() / 254 * np.abs(node.materialize()).sum((0, 1, 2)).max(), (
            name
        )
        status = "dense" if name == "transposed" else "native"
        assert {r.status for r in interpret.explain(layer.apply)(tree, x)} == {status}, name


def test_the_rule_alone() -> None:
    _, x, shape, params = program("same")
    kernel = samples.floats(samples.rng(), *shape)
    asked = samples.convolution(x, kernel, params)
    samples.assert_close(apply_conv(params, [x, kernel]), asked)
