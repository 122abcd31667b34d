"""Truncated SVD against NumPy's, and the theorem of Eckart and Young."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import compressjax as cj
from compressjax import core, lowrank, measure, quant
from compressjax.lowrank._rank import pays
from compressjax.tensors import LowRank, Quantized
from tests import helpers


def encode(compression, kernel):
    params = {"kernel": kernel}
    return compression.encode(params, compression.init(params))["kernel"]


@pytest.mark.parametrize("rank", [1, 4, 9])
def test_eckart_young(key, rank):
    w = np.asarray(jax.random.normal(key, (20, 12)))
    node = encode(lowrank.svd(rank=rank, always=True), jnp.asarray(w))
    u, s, vt = np.linalg.svd(w.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(node.materialize(), (u[:, :rank] * s[:rank]) @ vt[:rank], atol=1e-5)
    error = np.sum((np.asarray(node.materialize(), np.float64) - w) ** 2)
    assert error == pytest.approx(np.sum(s[rank:] ** 2), rel=1e-4)
    assert abs(error - np.sum(s[rank:] ** 2)) <= 1e-6 * np.sum(s**2)
    # No other product of that rank is nearer: here, fifty random ones, each with the best second factor.
    for i in range(50):
        left = np.random.default_rng(i).normal(size=(20, rank))
        right = np.linalg.lstsq(left, w, rcond=None)[0]
        assert np.sum((left @ right - w) ** 2) >= error


def test_factors_are_balanced(key):
    node = encode(lowrank.svd(rank=3), jax.random.normal(key, (20, 12)))
    np.testing.assert_allclose(node.left.T @ node.left, node.right @ node.right.T, atol=1e-4)


def test_exact_when_the_rank_is_true(key):
    a, b = jax.random.split(key)
    w = jax.random.normal(a, (30, 3)) @ jax.random.normal(b, (3, 20))
    for compression in (lowrank.svd(rank=3), lowrank.svd(energy=0.99999)):
        node = encode(compression, w)
        assert node.rank == 3
        np.testing.assert_allclose(node.materialize(), w, atol=1e-4)


def test_convolutions_and_many_axes(key):
    conv = jax.random.normal(key, (3, 3, 8, 16))
    node = encode(lowrank.svd(rank=4), conv)
    assert (node.left.shape, node.right.shape, node.inputs) == ((3, 3, 8, 4), (4, 16), 3)
    flat = encode(lowrank.svd(rank=4), conv.reshape(72, 16)).materialize()
    np.testing.assert_allclose(node.materialize().reshape(72, 16), flat, atol=1e-5)
    heads = encode(lowrank.svd(rank=4, inputs=1), jax.random.normal(key, (32, 4, 8)))
    assert (heads.left.shape, heads.right.shape, heads.shape) == ((32, 4), (4, 4, 8), (32, 4, 8))


def test_stacked_layers(key):
    layers = jax.random.normal(key, (3, 20, 12))
    node = encode(lowrank.svd(rank=4, batch=1), layers)
    assert (node.left.shape, node.right.shape, node.batch) == ((3, 20, 4), (3, 4, 12), 1)
    for i in range(3):
        one = encode(lowrank.svd(rank=4), layers[i]).materialize()
        np.testing.assert_allclose(node.materialize()[i], one, atol=1e-5)


def test_fractions_and_budgets(key):
    w = jax.random.normal(key, (40, 24))
    assert encode(lowrank.svd(rank=0.25), w).rank == 6
    node = encode(lowrank.svd(budget=0.5), w)
    assert node.rank == 7
    assert node.size_bits() <= 0.5 * w.size * 32


def test_leaves_that_do_not_pay_are_left_out_and_listed(key):
    """r (in + out) = 6 * 22 = 132 entries are more than the 120 of the kernel, 5 * 22 = 110 are fewer."""
    w, flat = jax.random.normal(key, (12, 10)), jnp.outer(jnp.arange(12.0), jnp.arange(10.0)) + 1
    for settings, r in (({"rank": 6}, 6), ({"energy": 1.0}, 10)):
        compression = lowrank.svd(**settings)
        setting = next(iter(settings))
        lost = f"factors of rank {r} have {r * 22} entries, the 12 x 10 matrix has 120; lower {setting}=, or set always"
        with pytest.warns(core.LeftOutWarning, match=lost):
            tree = core.compress({"a": w, "b": jnp.zeros((60, 60))}, compression)
        assert tree["a"] is w
        assert isinstance(tree["b"], LowRank)
    assert encode(lowrank.svd(rank=5), w).rank == 5
    assert encode(lowrank.svd(energy=0.999), flat).rank <= 2
    with pytest.raises(
        ValueError, match=r"svd\(energy=1.0\): no leaf of kernels fits:\n  a  .* have 220 entries, .*\n  b  "
    ):
        core.compress({"a": w, "b": w[:, ::-1]}, lowrank.svd(energy=1.0))
    # Outside of compress, what only values decide stays dense; what the shape decides is refused.
    assert encode(lowrank.svd(energy=1.0), w) is w
    with pytest.raises(core.UnfitError, match="'kernel': svd.rank=6. would not make it smaller"):
        encode(lowrank.svd(rank=6), w)
    with pytest.raises(ValueError, match="no leaf of kernels fits"):
        core.compress({"a": w}, lowrank.svd(rank=1.0))
    assert isinstance(encode(lowrank.svd(rank=6, always=True), w), LowRank)
    assert not pays((12, 10), 6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.strict
def test_what_is_viewed_is_stored(key, dtype):
    params = {"kernel": jax.random.normal(key, (20, 12)).astype(dtype), "bias": jnp.ones(3, dtype)}
    compression = lowrank.svd(rank=3)
    state = compression.init(params)
    stored = core.materialize(jax.jit(compression.encode)(params, state))["kernel"]
    viewed = jax.jit(compression.view)(params, state)["kernel"]
    assert stored.dtype == viewed.dtype == dtype
    assert np.asarray(stored).tobytes() == np.asarray(viewed).tobytes()
    shapes = jax.eval_shape(compression.encode, params, state)["kernel"]
    assert shapes.shape == (20, 12)


@pytest.mark.parametrize("settings", [{"rank": 3}, {"energy": 0.5}])
def test_gradient_is_straight_through(key, settings):
    params = {"kernel": jax.random.normal(key, (20, 12))}
    compression = lowrank.svd(**settings)
    grads = jax.grad(lambda p: jnp.sum(compression.view(p, compression.init(p))["kernel"] * 2.0))(params)
    np.testing.assert_array_equal(grads["kernel"], 2.0)


def test_energy_says_that_it_cannot_be_traced(key):
    params = {"kernel": jax.random.normal(key, (20, 12))}
    compression = lowrank.svd(energy=0.9)
    with pytest.raises(ValueError, match="rank of 'kernel' from its values, so encode cannot be traced"):
        jax.jit(compression.encode)(params, compression.init(params))


def test_then_rounding(key):
    params = {"kernel": jax.random.normal(key, (32, 24))}
    both = core.sequence(lowrank.svd(rank=8), quant.rtn(8))
    state = both.init(params)
    node = both.encode(params, state)["kernel"]
    assert isinstance(node.left, Quantized)
    assert isinstance(node.right, Quantized)
    viewed = both.view(params, state)["kernel"]
    assert np.asarray(node.materialize()).tobytes() == np.asarray(viewed).tobytes()
    plain = encode(lowrank.svd(rank=8), params["kernel"]).materialize()
    assert 0 < float(jnp.max(jnp.abs(node.materialize() - plain))) < 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "exactly one of rank, energy and budget; it got none"),
        ({"rank": 2, "energy": 0.5}, "exactly one"),
        ({"rank": 0}, "rank=0 must be at least 1"),
        ({"rank": 2.0}, r"rank=2.0 must lie in \(0, 1\]; ranks are integers"),
        ({"energy": 0.0}, "energy=0.0 must lie"),
        ({"budget": 1.5}, "budget=1.5 must lie"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        lowrank.svd(**settings)


def test_too_few_axes():
    with pytest.raises(ValueError, match=r"bias  shape \(4,\) .* both sides need an axis"):
        core.compress({"bias": jnp.ones(4)}, {"bias": lowrank.svd(rank=1)})


def test_symmetric_kernels(draw):
    half = draw.normal(size=(12, 12)).astype(np.float32)
    params = {"even": jnp.asarray(half + half.T), "odd": jnp.asarray(half), "wide": jnp.ones((12, 10))}
    with pytest.warns(core.LeftOutWarning, match=r"(?s)odd   it differs from its transpose.*wide  its matrix has the"):
        tree = core.compress(params, lowrank.svd(rank=4, solver="evd"))
    exact = core.compress({"even": params["even"]}, lowrank.svd(rank=4))["even"]
    np.testing.assert_allclose(tree["even"].materialize(), exact.materialize(), atol=1e-4)
    np.testing.assert_allclose(jnp.abs(tree["even"].left), jnp.abs(tree["even"].right.T), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 2, "solver": "lanczos"}, "solver='lanczos' is unknown"),
        ({"rank": 2, "solver": "randomized"}, "needs a key"),
        ({"energy": 0.5, "solver": "randomized", "key": jax.random.key(0)}, "reads all singular values"),
    ],
)
def test_bad_solvers(settings, message):
    with pytest.raises(ValueError, match=message):
        lowrank.svd(**settings)


@pytest.mark.parametrize("kind", helpers.quick(["Explicit", "Auto"], "Explicit"))
def test_a_kernel_on_several_devices_is_not_gathered(kind):
    """The best rank by NumPy; factors lie as their axes do, and the largest exchange is as large as a factor."""
    x = helpers.array(0, (64, 40))
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(jax.sharding.AxisType[kind],) * 2)
    spread = jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data", "model")))
    method = lowrank.svd(rank=2)
    with jax.set_mesh(mesh):
        program = jax.jit(lambda p: method.encode(p, method.init(p))).lower({"kernel": spread}).compile()
        node = program({"kernel": spread})["kernel"]
    u, s, vt = np.linalg.svd(np.asarray(x, np.float64))
    got = np.asarray(node.left) @ np.asarray(node.right)
    best = np.linalg.norm(x - (u[:, :2] * s[:2]) @ vt[:2])
    assert np.linalg.norm(x - got) <= 1.0001 * best
    assert measure.collectives(program)[0].result_bytes <= 4 * 64 * (2 + 8)
    assert [tuple(part.sharding.spec)[:2] for part in (node.left, node.right)] in (
        [("data", None), (None, "model")], [("data",), (None, "model")]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (np.float32(3), r"a  shape \(\) with batch=None"),
        (np.zeros((0, 4), np.float32), "saved no byte of a"),
        (np.ones((1, 1), np.float32), "factors of rank 1 have 2 entries, the 1 x 1 matrix has 1"),
        (np.ones((4, 4), np.float32), "factors of rank 4 have 32 entries, the 4 x 4 matrix has 16"),  # asks for 9
    ],
)
def test_leaves_without_room_for_factors_are_named(leaf, message):
    with pytest.raises(ValueError, match=message):
        cj.compress({"a": jnp.asarray(leaf)}, {"a": lowrank.svd(rank=9)})


def test_a_matrix_of_zeros_has_factors_of_zeros():
    found = cj.compress({"a": jnp.zeros((6, 8))}, {"a": lowrank.svd(energy=0.9)})["a"]
    assert isinstance(found, LowRank)
    np.testing.assert_array_equal(found.materialize(), np.zeros((6, 8)))
