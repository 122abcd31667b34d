"""Round to nearest as a compression: trees, dtypes, statistics, nesting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import artifact, coding, core, lift, quant
from compressjax.interpret import explain, observe
from compressjax.tensors import Codebook, Masked, Quantized


@pytest.fixture
def params(key):
    return {"a": {"kernel": jax.random.normal(key, (16, 6)), "bias": jnp.ones(6)}, "conv": jnp.ones((3, 3, 2, 4))}


@pytest.mark.turns(2)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.strict
def test_what_is_viewed_is_stored(params, dtype, symmetric):
    params = jax.tree.map(lambda x: x.astype(dtype), params)
    compression = quant.rtn(4, symmetric=symmetric)
    state = compression.init(params)
    encoded = compression.encode(params, state)
    viewed = jax.jit(compression.view)(params, state)
    assert encoded["a"]["kernel"].dtype == dtype
    for x, y in zip(jax.tree.leaves(core.materialize(encoded)), jax.tree.leaves(viewed), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    assert encoded["a"]["bias"] is params["a"]["bias"]


def test_size(params):
    sizes = core.storage(quant.rtn(4, granularity=8).encode({"kernel": params["a"]["kernel"]}, ()))
    assert sizes == {"kernel": 96 * 4 + 2 * 6 * 32}
    affine = core.storage(quant.rtn(8, symmetric=False).encode({"kernel": params["a"]["kernel"]}, ()))
    assert affine == {"kernel": 96 * 8 + 6 * 64}


def test_enough_bits_give_the_weights_back():
    grid = jnp.arange(-127.0, 128.0).reshape(17, 15) / 64
    np.testing.assert_array_equal(
        core.materialize(core.compress({"k": grid}, {"k": quant.rtn(8, granularity="tensor")}))["k"], grid
    )


def test_gradient_is_straight_through(params):
    compression = quant.rtn(2)
    grads = jax.grad(lambda p: jnp.sum(compression.view(p, ())["a"]["kernel"]))(params)
    np.testing.assert_array_equal(grads["a"]["kernel"], 1.0)


def test_static_activations_use_statistics(key):
    params = {"kernel": jax.random.normal(key, (16, 6))}
    x = 3.0 * jax.random.normal(key, (32, 16))
    _, stats = observe(lambda p, x: x @ p["kernel"])(params, x)
    node = core.compress(params, {"kernel": quant.rtn(8, activation="static")}, stats)["kernel"]
    assert node.activation == "static"
    assert float(node.activation_scale) == pytest.approx(float(jnp.max(jnp.abs(x))) / 127, rel=1e-6)
    with pytest.raises(ValueError, match=r"absent for \['kernel'\]"):
        core.compress(params, {"kernel": quant.rtn(8, activation="static")})
    _, unseen = observe(lambda p, x: x @ p["kernel"])(params, 0 * x)
    with pytest.raises(ValueError, match="kernel  only zeros reached it while observing"):
        core.compress(params, {"kernel": quant.rtn(8, activation="static")}, unseen)
    compression = quant.rtn(8, activation="static")
    with pytest.raises(ValueError, match="'kernel': static activations need statistics of observe"):
        compression.encode(params, compression.init(params))


def test_rows_of_an_embedding(key):
    table = jax.random.normal(key, (10, 4)) * jnp.arange(1.0, 11.0)[:, None]
    node = core.compress({"table": table}, {"table": quant.rtn(8, axis=0)})["table"]
    assert node.scale.shape == (10, 1)
    assert node.codes.shape == (10, 4)


def test_centroids_on_an_integer_grid(key):
    codes = jax.random.randint(key, (6, 5), 0, 16).astype(jnp.uint8)
    centroids = jnp.linspace(-1.0, 1.0, 16)
    mask = codes > 3
    tree = {"kernel": Masked(Codebook(centroids, codes), mask)}
    node = core.compress(tree, {".*/centroids": quant.rtn(8, granularity="tensor")})["kernel"]
    assert isinstance(node.value.centroids, Quantized)
    assert node.value.centroids.codes.shape == (16,)
    want = np.where(mask, np.asarray(centroids)[np.asarray(codes)], 0)
    np.testing.assert_allclose(node.materialize(), want, atol=1 / 127)
    assert np.max(np.abs(node.materialize() - want)) > 0


def test_a_group_that_does_not_divide_names_the_leaf(params):
    with pytest.raises(ValueError, match="'a/kernel' fits:\n  a/kernel  group size 5 does not divide the 16 inp"):
        core.compress(params, {"a/kernel": quant.rtn(4, granularity=5)})


FORMATS = ["binary", "ternary", "nf4", "fp8_e5m2", "mxfp4", "mxfp6_e2m3", "nvfp4", "mxint8"]


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", FORMATS)
def test_formats_survive_a_file(name, key, tmp_path):
    w = jax.random.normal(key, (128, 48))
    tree = core.compress({"w": w}, {"w": quant.rtn(name)})
    size = artifact.save(tmp_path / "w.cjx", tree).ledger.leaves[0].file_bytes
    loaded = artifact.load(tmp_path / "w.cjx").tree["w"]
    assert loaded.codes.dtype == tree["w"].codes.dtype
    assert np.asarray(loaded.materialize()).tobytes() == np.asarray(tree["w"].materialize()).tobytes()
    numpy = coding.materialize(coding.read(tmp_path / "w.cjx").leaves["w"])
    np.testing.assert_array_equal(numpy, loaded.materialize())
    # Entropy coding adds a table of symbols, never the unused bits of a byte.
    assert 8 * size < tree["w"].size_bits() + 8 * 80


def test_binary_takes_a_bit_on_disk(key, tmp_path):
    tree = core.compress({"w": jax.random.normal(key, (512, 64))}, {"w": quant.rtn("binary")})
    assert 8 * artifact.save(tmp_path / "w.cjx", tree).ledger.leaves[0].file_bytes < 1.08 * 512 * 64


def test_rows_of_a_table_in_nf4(key):
    """A plain function; only the rows that it reads become dense."""
    table = jax.random.normal(key, (50, 64))
    tree = core.compress({"table": table}, {"table": quant.rtn("nf4", axis=0)})
    assert tree["table"].scale.shape == (50, 1)
    ids = jnp.array([3, 49, 3])

    def read(p, ids):
        return p["table"][ids]

    got = jax.jit(lift(read))(tree, ids)
    np.testing.assert_array_equal(got, tree["table"].materialize()[ids])
    assert [row.status for row in explain(read)(tree, ids)] == ["native"]


def test_convolutions_in_weights_only(key):
    w = jax.random.normal(key, (3, 3, 32, 8))
    x = jax.random.normal(jax.random.fold_in(key, 1), (2, 6, 6, 32))

    def apply(p, x):
        return jax.lax.conv_general_dilated(x, p["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    for name, shape in (("nf4", (1, 1, 1, 8)), ("mxfp4", (1, 1, 1, 8)), ("binary", (1, 1, 1, 8))):
        tree = core.compress({"w": w}, {"w": quant.rtn(name, granularity="channel" if name == "binary" else 32)})
        assert tree["w"].scale.shape == shape
        np.testing.assert_allclose(lift(apply)(tree, x), apply(core.materialize(tree), x), rtol=1e-5, atol=1e-5)


def test_products_run_in_integers_where_codes_are_integers(key):
    w, x = jax.random.normal(key, (64, 16)), jax.random.normal(key, (8, 64))

    def apply(p, x):
        return x @ p["w"]

    for grid in (quant.grid("ternary", activation="dynamic"), quant.grid("mxint8", activation="dynamic")):
        tree = core.compress({"w": w}, {"w": quant.rtn(grid)})
        assert [row.status for row in explain(apply)(tree, x)] == ["native"]
        got, exact = lift(apply)(tree, x), apply(core.materialize(tree), x)
        np.testing.assert_allclose(got, exact, atol=0.02 * float(jnp.max(jnp.abs(exact))))
    tree = core.compress({"w": w}, {"w": quant.rtn("nf4")})
    assert "weight-only" in explain(apply)(tree, x)[0].reason


def test_draws_follow_the_key_and_the_path(key):
    tree = {name: jnp.full((8, 4), 0.3).at[0].set(1.0) for name in ("a", "b")}
    drawn = [core.compress(tree, {".*": quant.rtn(2, key=jax.random.key(seed))}) for seed in (0, 0, 1)]
    first, again, other = ({name: np.asarray(x.codes) for name, x in t.items()} for t in drawn)
    np.testing.assert_array_equal(first["a"], again["a"])
    assert np.any(first["a"] != other["a"])
    assert np.any(first["a"] != first["b"])
    with pytest.raises(ValueError, match="key= rounds integers by chance; nf4 has none"):
        quant.rtn("nf4", key=key)
