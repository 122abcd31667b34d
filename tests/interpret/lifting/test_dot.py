"""Products in every orientation, against einsum in double precision on tensors built by loops."""

import string
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, tensors
from compressjax.core import Dense, Product, ops
from compressjax.interpret.lifting._dot import apply_dot
from tests import helpers
from tests.interpret import samples

# x's shape, the node's shape, summed axes of both, batch axes of both.
CASES = {
    "matrix": ((4, 6), (6, 8), ((1,), (0,)), ((), ())),
    "transposed": ((4, 8), (6, 8), ((1,), (1,)), ((), ())),
    "x transposed": ((6, 4), (6, 8), ((0,), (0,)), ((), ())),
    "vector": ((6,), (6, 8), ((0,), (0,)), ((), ())),
    "one row": ((1, 6), (6, 8), ((1,), (0,)), ((), ())),
    "no rows": ((0, 6), (6, 8), ((1,), (0,)), ((), ())),
    "sequences": ((2, 3, 6), (6, 8), ((2,), (0,)), ((), ())),
    "outer": ((3,), (6, 8), ((), ()), ((), ())),
    "dot with a vector": ((4, 6), (6,), ((1,), (0,)), ((), ())),
    "heads": ((3, 6), (6, 2, 4), ((1,), (0,)), ((), ())),
    "heads in the middle": ((3, 2), (6, 2, 4), ((1,), (1,)), ((), ())),
    "out of heads": ((3, 2, 4), (2, 4, 6), ((1, 2), (0, 1)), ((), ())),
    "out of heads, sums swapped": ((3, 4, 2), (2, 4, 6), ((1, 2), (1, 0)), ((), ())),
    "first and last summed": ((3, 2, 4), (2, 6, 4), ((1, 2), (0, 2)), ((), ())),
    "experts": ((2, 3, 6), (2, 6, 4), ((2,), (1,)), ((0,), (0,))),
    "experts, transposed": ((2, 3, 4), (2, 6, 4), ((2,), (2,)), ((0,), (0,))),
    "experts, one row": ((2, 6), (2, 6, 4), ((1,), (1,)), ((0,), (0,))),
    "experts in the middle": ((3, 2, 6), (6, 2, 4), ((2,), (0,)), ((1,), (1,))),
    "two batch axes": ((3, 2, 5, 4), (2, 3, 4, 6), ((3,), (2,)), ((1, 0), (0, 1))),
}
Numbers = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]


def reference(x: np.ndarray, w: np.ndarray, numbers: Numbers, node_left: bool) -> np.ndarray:
    """`dot_general` as an einsum: batch axes, then the left operand's free axes, then the right's."""
    (x_sum, w_sum), (x_batch, w_batch) = numbers
    of_x, of_w = list(string.ascii_lowercase[: x.ndim]), list(string.ascii_uppercase[: w.ndim])
    for a, b in zip((*x_sum, *x_batch), (*w_sum, *w_batch)):
        of_w[b] = of_x[a]
    x_free = [of_x[a] for a in range(x.ndim) if a not in x_sum and a not in x_batch]
    w_free = [of_w[a] for a in range(w.ndim) if a not in w_sum and a not in w_batch]
    free = [*w_free, *x_free] if node_left else [*x_free, *w_free]
    out = [*(of_x[a] for a in x_batch), *free]
    return np.einsum(f"{''.join(of_x)},{''.join(of_w)}->{''.join(out)}", x, w)


def product(numbers: Numbers, node_left: bool) -> Any:
    """A function of the weight and x, with the weight on one side."""
    (x_sum, w_sum), (x_batch, w_batch) = numbers
    if node_left:
        return lambda w, x: jax.lax.dot_general(w, x, ((w_sum, x_sum), (w_batch, x_batch)))
    return lambda w, x: jax.lax.dot_general(x, w, numbers)


# The side turns the result over, whatever the case: each case has one of them.
SIDES = [(case, left) for case in CASES for left in (False, True)]
sides = pytest.mark.parametrize(
    ("case", "node_left"), helpers.quick(SIDES, *((case, i % 2 == 1) for i, case in enumerate(CASES)))
)


@pytest.mark.turns(2)
@sides
def test_products_of_every_node(case: str, node_left: bool) -> None:
    x_shape, w_shape, *numbers = CASES[case]
    x = samples.floats(samples.rng(1), *x_shape)
    f = product(tuple(numbers), node_left)
    nodes = samples.zoo(w_shape)
    got = samples.quick(samples.lifted(lambda ws, x: {name: f(w, x) for name, w in ws.items()}))(nodes, x)
    for name, node in nodes.items():
        assert got[name].dtype == jnp.float32
        samples.assert_close(
            got[name], reference(helpers.float64(x), helpers.brute(node), tuple(numbers), node_left), name
        )


@pytest.mark.turns(2)
@sides
def test_integer_products_within_their_bound(case: str, node_left: bool) -> None:
    x_shape, w_shape, *numbers = CASES[case]
    x = samples.floats(samples.rng(2), *x_shape)
    f = product(tuple(numbers), node_left)
    nodes = samples.active(w_shape)
    got = samples.quick(samples.lifted(lambda ws, x: {name: f(w, x) for name, w in ws.items()}))(nodes, x)
    for name, node in nodes.items():
        w = helpers.brute(node)
        asked = reference(helpers.float64(x), w, tuple(numbers), node_left)
        room = reference(samples.errors(node, x, numbers[0][0]), np.abs(w), tuple(numbers), node_left)
        slack = reference(np.abs(helpers.float64(x)), np.abs(w), tuple(numbers), node_left)
        assert got[name].shape == asked.shape, name
        assert (np.abs(helpers.float64(got[name]) - asked) <= 1.0001 * room + 1e-5 * slack + 1e-6).all(), name


def test_which_products_run_natively() -> None:
    """The statuses that the package promises, for the plain layer."""
    native = {"low rank, 1 inputs", "low rank of grids, 1 inputs", "sum, 1 inputs"}
    for name, node in samples.zoo((6, 8)).items():
        status = "native" if name in native else "dense"
        assert samples.statuses(lambda w, x: x @ w, node, jnp.ones((4, 6))) == {("dot_general", status)}, name
    for name, node in samples.active((6, 8)).items():
        status = "dense" if name.endswith("every entry") else "native"
        assert samples.statuses(lambda w, x: x @ w, node, jnp.ones((4, 6))) == {("dot_general", status)}, name


def test_the_native_product_never_forms_the_dense_tensor() -> None:
    node = samples.low_rank(samples.rng(), (40, 50))
    text = jax.jit(interpret.lift(lambda w, x: x @ w)).lower(node, jnp.ones((3, 40))).as_text()
    assert "40x50x" not in text
    assert "3x2x" in text


@pytest.mark.turns(3)
@pytest.mark.parametrize("shape", [(4, 6), (1, 6), (6,)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_result_dtypes_equal_those_of_the_dense_product(dtype: str, shape: tuple[int, ...]) -> None:
    x = jax.ShapeDtypeStruct(shape, dtype)
    f = lambda w, x: jnp.matmul(x, w)  # noqa: E731
    wide = lambda w, x: jax.lax.dot(x.reshape(-1, 6), w, preferred_element_type=jnp.float32)  # noqa: E731
    for name, node in {**samples.zoo((6, 8)), **samples.active((6, 8))}.items():
        dense = jax.eval_shape(lambda n: n.materialize(), node)
        got = jax.eval_shape(samples.lifted(f), node, x)
        assert got.dtype == jax.eval_shape(f, dense, x).dtype, name
        same = jax.ShapeDtypeStruct(shape, dense.dtype)
        assert jax.eval_shape(samples.lifted(wide), node, same).dtype == jnp.float32, name


def test_einsum_attention() -> None:
    """Query, key, value and output projections with heads, as attention layers write them."""
    draw = samples.rng(3)
    x = samples.floats(draw, 2, 5, 6)
    shapes = {"q": (6, 2, 4), "k": (6, 2, 4), "v": (6, 2, 4), "o": (2, 4, 6)}
    nodes = {name: samples.low_rank(draw, s, 2 if name == "o" else 1, rank=3) for name, s in shapes.items()}

    def attend(p: Any, x: Any, xp: Any) -> Any:
        q, k, v = (xp.einsum("bti,ihd->bthd", x, p[name]) for name in "qkv")
        weights = xp.exp(xp.einsum("bthd,bshd->bhts", q, k) / 8)
        weights = weights / weights.sum(-1, keepdims=True)
        return xp.einsum("bhts,bshd,hdo->bto", weights, v, p["o"])

    asked = attend({k: helpers.brute(n) for k, n in nodes.items()}, helpers.float64(x), np)
    samples.assert_close(jax.jit(interpret.lift(lambda p, x: attend(p, x, jnp), on_fallback="raise"))(nodes, x), asked)
    rows = interpret.explain(lambda p, x: attend(p, x, jnp))(nodes, x)
    assert {(r.path, r.status) for r in rows} == {(name, "native") for name in "qkvo"}


def test_two_weights_in_one_product() -> None:
    a, b = samples.low_rank(samples.rng(1), (4, 6)), samples.low_rank(samples.rng(2), (6, 8))
    asked = helpers.brute(a) @ helpers.brute(b)
    samples.assert_close(interpret.lift(lambda p: p["a"] @ p["b"])({"a": a, "b": b}), asked)
    rows = interpret.explain(lambda p: p["a"] @ p["b"])({"a": a, "b": b})
    assert {(r.path, r.status) for r in rows} == {("a", "dense"), ("b", "native")}
    samples.assert_close(interpret.lift(lambda w: w.T @ w)(a), helpers.brute(a).T @ helpers.brute(a))


def test_as_grid_keeps_the_values() -> None:
    draw = samples.rng()
    table = samples.grid(draw, (6,), activation="dynamic")
    affine = samples.grid(draw, (6,), affine=True, activation="static")
    inner = samples.grid(draw, (6, 8), (1, 8), order=(1, 0), activation="dynamic")
    nodes = {
        "codebook": samples.codebook(draw, 6, 8, table=table),
        "affine codebook": samples.codebook(draw, 6, 8, table=affine),
        "masked": tensors.Masked(inner, samples.mask(draw, 6, 8)),
        "masked codebook": tensors.Masked(samples.codebook(draw, 6, 8, table=table), samples.mask(draw, 6, 8)),
    }
    for name, node in nodes.items():
        grid = node.as_grid()
        assert isinstance(grid, tensors.Quantized), name
        samples.assert_close(helpers.brute(grid), helpers.brute(node), name, 1e-7)
        assert samples.statuses(lambda w, x: x @ w, node, jnp.ones((4, 6))) == {("dot_general", "native")}, name
    refused = [
        tensors.Masked(samples.grid(draw, (6, 8), affine=True, activation="dynamic"), samples.mask(draw, 6, 8)),
        samples.codebook(draw, 6, 8, table=samples.grid(draw, (6,), (6,), activation="dynamic")),
        samples.codebook(draw, 6, 8, table=samples.grid(draw, (6, 3), activation="dynamic")),
        samples.codebook(draw, 6, 8),
        samples.low_rank(draw, (6, 8)),
    ]
    assert all(isinstance(node.as_grid(), Dense) for node in refused)


def test_low_rank_products_over_part_of_the_input_axes_say_why() -> None:
    node = samples.low_rank(samples.rng(), (2, 4, 6), inputs=2)
    out = ops.multiply(jnp.ones((3, 2)), node, Product((1,), (), (0,), (), None, None))
    assert isinstance(out, Dense)
    assert "some, not all" in out.reason
    stacked = samples.low_rank(samples.rng(), (2, 4, 6), batch=1)
    free = ops.multiply(jnp.ones((3, 4)), stacked, Product((1,), (), (1,), (), None, None))
    assert isinstance(free, Dense)


def test_precision_reaches_the_factors() -> None:
    node = samples.low_rank(samples.rng(), (6, 8))
    f = lambda w, x: jnp.matmul(x, w, precision=jax.lax.Precision.HIGHEST)  # noqa: E731
    text = str(jax.make_jaxpr(interpret.lift(f))(node, jnp.ones((3, 6))))
    assert text.count("precision=Precision.HIGHEST") == 2 or text.count("HIGHEST, Precision.HIGHEST") == 2


def test_the_rule_alone() -> None:
    w, x = samples.floats(samples.rng(), 6, 8), samples.floats(samples.rng(1), 4, 6)
    params = {"dimension_numbers": (((0,), (1,)), ((), ())), "precision": None, "preferred_element_type": None}
    samples.assert_close(apply_dot(params, [w, x], 0), helpers.float64(w).T @ helpers.float64(x).T)
