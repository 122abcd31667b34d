"""Nodes that round the inputs of their products: what is trained equals what is stored."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, quant, tensors
from tests import helpers

CONV = ("NHWC", "HWIO", "NHWC")
INTEGERS = "preferred_element_type=int32"
PRODUCTS = {
    "product": ((6, 4), (5, 6), lambda w, x: x @ w),
    "weight first": ((4, 6), (6, 5), lambda w, x: w @ x),
    "one row": ((6, 4), (6,), lambda w, x: x @ w),
    "transposed": ((6, 4), (5, 4), lambda w, x: x @ w.T),
    "split": ((6, 4), (5, 6), lambda w, x: jnp.einsum("ni,iab->nab", x, w.reshape(6, 2, 2))),
    "batch": ((2, 3, 4), (5, 2, 3), lambda w, x: jnp.einsum("nbi,bio->nbo", x, w)),
    "convolution": (
        (3, 3, 32, 6), (2, 5, 5, 32), lambda w, x: jax.lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=CONV
        ),
    ),
    "channels first": (
        (6, 32, 3, 3), (2, 32, 5, 5), lambda w, x: jax.lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NHWC")
        ),
    ),
    "experts": ((2, 3, 4), (5, 3), lambda w, x: jax.lax.ragged_dot(x, w, jnp.array([2, 3], jnp.int32))),
    "layers of a scan": (
        (2, 4, 4), (5, 4), lambda w, x: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, w)[0]
    ),
}  # fmt: skip


def by_tensor(shape: tuple[int, ...]) -> tensors.Quantized:
    """Four bits, with a scale that suits every product."""
    return core.compress({"w": helpers.array(0, shape)}, {"w": quant.rtn(4, granularity="tensor", order=())})["w"]


def simulated(name: str, step: float | None, signed: bool, x: jax.Array, dense: jax.Array) -> np.ndarray:
    """The product of inputs that NumPy rounded; each row has a step of its own without one."""
    fn = PRODUCTS[name][2]
    if name == "layers of a scan":
        for w in dense:
            x = jnp.tanh(hand(x, -1, step, signed) @ w)
        return np.asarray(x)
    axes = (1, 2, 3) if "channels" in name or name == "convolution" else 0 if name == "weight first" else -1
    return np.asarray(fn(dense, hand(x, axes, step, signed)))


def hand(x: jax.Array, axes: object, step: float | None, signed: bool) -> jax.Array:
    """Rounding to 5 bits by its definition."""
    x, high = np.asarray(x), 15 if signed else 31
    if step is None:
        step = np.maximum(np.abs(x) if signed else x, 0).max(axes, keepdims=True) / high
    return jnp.asarray(np.clip(np.round(x / step), -high if signed else 0, high) * step)


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize(("step", "signed"), [(None, True), (np.float32(0.125), False)])
def test_integer_products_are_those_of_rounded_floats(name: str, step: float | None, signed: bool) -> None:
    """The codes of a grid run in integers, its dense tensor in floats, and both as NumPy rounds."""
    shape, data, fn = PRODUCTS[name]
    grid, x = by_tensor(shape), jnp.abs(helpers.array(7, data)) if not signed else helpers.array(7, data)
    make = lambda inner: tensors.RoundedInputs(inner, step, bits=5, signed=signed)  # noqa: E731
    run = interpret.lift(lambda p, x: fn(p["w"], x), on_fallback="raise")
    want = simulated(name, step, signed, x, grid.materialize())
    for inner, integers in ((grid, True), (grid.materialize(), False)):
        tree = {"w": make(inner)}
        assert (INTEGERS in str(jax.make_jaxpr(run)(tree, x))) is integers
        np.testing.assert_allclose(run(tree, x), want, rtol=2e-5, atol=1e-5)
    rows = interpret.explain(lambda p, x: fn(p["w"], x))({"w": make(grid)}, x)
    assert {row.status for row in rows if row.primitive not in ("transpose", "reshape")} == {"native"}


def test_gradients_of_both_products_agree() -> None:
    grid, x = by_tensor((6, 4)), helpers.array(3, (5, 6))

    def loss(step: jax.Array, x: jax.Array, inner: object) -> jax.Array:
        node = tensors.RoundedInputs(inner, step, bits=3, rule="lsq")
        return jnp.sum(jnp.sin(interpret.lift(lambda w, x: x @ w)(node, x)))

    integer, floating = (jax.grad(loss, (0, 1))(jnp.float32(0.3), x, w) for w in (grid, grid.materialize()))
    assert abs(float(integer[0])) > 0.01
    np.testing.assert_allclose(integer[0], floating[0], rtol=1e-4)
    np.testing.assert_allclose(integer[1], floating[1], rtol=1e-4, atol=1e-6)


def test_what_reads_rows_or_multiplies_entries_rounds_nothing() -> None:
    node, w = tensors.RoundedInputs(helpers.array(0, (6, 4)), bits=2), helpers.array(0, (6, 4))
    ids = jnp.array([0, 5, 2])
    np.testing.assert_array_equal(interpret.lift(lambda w: jnp.take(w, ids, axis=0))(node), w[ids])
    run = interpret.lift(lambda w, x: x * w, on_fallback="ignore")
    np.testing.assert_array_equal(run(node, w), w * w)


def test_unsigned_codes_of_8_bits_run_in_floats() -> None:
    node, x = tensors.RoundedInputs(by_tensor((6, 4)), signed=False), jnp.abs(helpers.array(1, (5, 6)))
    run = interpret.lift(lambda w, x: x @ w)
    assert INTEGERS not in str(jax.make_jaxpr(run)(node, x))
    largest = x.max(1, keepdims=True)
    want = np.round(x * 255 / largest) * largest / 255 @ node.materialize()
    np.testing.assert_allclose(run(node, x), want, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("fast_integers")
def test_prepare_keeps_the_rounding() -> None:
    large, x = by_tensor((256, 256)), helpers.array(2, (3, 256))
    run = interpret.lift(lambda w, x: x @ w)
    for inner, kept in ((large, tensors.Quantized), (large.materialize(), jax.Array), (by_tensor((256, 2)), jax.Array)):
        node = tensors.RoundedInputs(inner, jnp.float32(0.5), bits=3)
        ready = node.prepare()
        assert isinstance(ready.inner, kept)
        np.testing.assert_allclose(run(ready, x), run(node, x), rtol=1e-5, atol=1e-4)


def test_stacks_with_a_step_per_layer_move_and_join() -> None:
    one, two = (tensors.RoundedInputs(helpers.array(i, (2, 4, 4)), jnp.float32(i + 0.5)) for i in range(2))
    joined = one.concatenate((two,), 0)
    np.testing.assert_array_equal(joined.step, [0.5, 0.5, 1.5, 1.5])
    assert joined.cut((core.Window(1, 2), None, None)).step.tolist() == [0.5, 1.5]
    assert "axis of the steps" in joined.reshape((16, 4)).reason
    assert "several kinds" in one.concatenate((two,), 1).reason
    assert "step per layer" in joined.dot(jnp.ones((3, 4)), core.Product((1,), (), (1,), ())).reason
    x = 0.7 * jnp.ones((1, 4))
    rows = jax.lax.scan(lambda c, node: (c, node.dot(x, core.Product((1,), (), (0,), ()))), 0, joined)[1]
    np.testing.assert_allclose(rows[1], 0.5 * one.inner[1].sum(0)[None], rtol=1e-5)
    np.testing.assert_array_equal(rows[2], jnp.zeros((1, 4)))


@pytest.mark.parametrize(
    ("changes", "message"), [({"bits": 9}, "bits=9"), ({"step": jnp.ones(3)}, "step has the shape")]
)
def test_fields_that_do_not_fit_are_told(changes: dict[str, object], message: str) -> None:
    assert message in tensors.RoundedInputs(jnp.ones((6, 4))).replace(**changes).misfit()


def test_masks_go_inside() -> None:
    """A mask over rounded inputs runs the integer product of the masked grid."""
    mask = jnp.asarray(np.arange(24).reshape(6, 4) % 3 > 0)
    grid, x = by_tensor((6, 4)), helpers.array(1, (5, 6))
    node = tensors.Masked(tensors.RoundedInputs(grid, bits=4), mask)
    run = interpret.lift(lambda w, x: x @ w)
    assert INTEGERS in str(jax.make_jaxpr(run)(node, x))
    want = run(tensors.RoundedInputs(jnp.where(mask, grid.materialize(), 0), bits=4), x)
    np.testing.assert_allclose(run(node, x), want, rtol=1e-5, atol=1e-6)
    for ready in (
        node.prepare(),
        node.pack(),
        tensors.Masked(node.value.replace(inner=grid.materialize()), mask).pack(),
    ):
        assert isinstance(ready, tensors.RoundedInputs)
        np.testing.assert_allclose(run(ready, x), want, rtol=1e-5, atol=1e-6)
