"""Weight sharing as a compression: what is trained is stored, and clusters move as one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.cluster import KMeans

import compressjax as cj
from compressjax import core, prune, quant, share
from compressjax.tensors import Codebook, Masked, Quantized, VectorCodebook


@pytest.fixture
def params(key):
    return {"kernel": jax.random.normal(key, (12, 10)), "bias": jnp.ones(10)}


def bits(tree):
    return {p: np.asarray(x).tobytes() for p, x in core.values(core.materialize(tree)).items()}


def train(compression, params, optimizer, steps, key):
    tx = core.as_optax(compression, optimizer)
    state = tx.init(params)
    x = jax.random.normal(key, (16, 12))

    @jax.jit
    def step(params, state):
        def loss(p):
            seen = compression.view(p, state.compression)
            return jnp.mean(jnp.square(jnp.tanh(x @ seen["kernel"]) - 0.5))

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    losses = []
    for _ in range(steps):
        params, state, value = step(params, state)
        losses.append(float(value))
    return params, state, losses


@pytest.mark.turns(2)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("clusters", [2, 16, 300])
@pytest.mark.strict
def test_what_is_viewed_is_stored(params, dtype, clusters):
    params = jax.tree.map(lambda x: x.astype(dtype), params)
    compression = share.kmeans(clusters)
    state = compression.init(params)
    node = compression.encode(params, state)["kernel"]
    assert node.codes.dtype == (jnp.uint8 if clusters <= 256 else jnp.uint16)
    assert node.centroids.shape == (clusters,)
    assert node.dtype == dtype
    assert bits(jax.jit(compression.view)(params, state)) == bits(compression.encode(params, state))
    assert compression.encode(params, state)["bias"] is params["bias"]


def test_size(params):
    node = share.kmeans(16).encode(params, share.kmeans(16).init(params))["kernel"]
    assert node.size_bits() == 120 * 4 + 16 * 32


def test_gradient_is_shared_by_the_members(params, key):
    compression = share.kmeans(5)
    state = compression.init(params)
    codes = np.asarray(state.codes["kernel"])
    slope = np.asarray(jax.random.normal(key, (12, 10)))
    grads = jax.grad(lambda p: jnp.sum(compression.view(p, state)["kernel"] * slope))(params)["kernel"]
    for k in range(5):
        np.testing.assert_allclose(grads[codes == k], slope[codes == k].mean(), rtol=1e-4)
    # After encoding, the table's own gradient is the sum over the members.
    tree = compression.encode(params, state)

    def loss(table):
        return jnp.sum(core.materialize(core.with_values(tree, {"kernel/centroids": table}))["kernel"] * slope)

    table = jax.grad(loss)(core.values(tree)["kernel/centroids"])
    np.testing.assert_allclose(table, [slope[codes == k].sum() for k in range(5)], rtol=1e-4)


@pytest.mark.parametrize("optimizer", [optax.adamw(0.05, weight_decay=0.1), optax.sgd(0.5, momentum=0.9)])
def test_clusters_move_as_one_and_learn(params, key, optimizer):
    compression = share.kmeans(5)
    state = compression.init(params)
    after, _, losses = train(compression, params, optimizer, 30, key)
    assert losses[-1] < 0.9 * losses[0]
    start, end = (compression.view(p, state)["kernel"] for p in (params, after))
    assert len(np.unique(end)) == 5
    moved = np.asarray(end - start)
    for k in range(5):
        spread = moved[np.asarray(state.codes["kernel"]) == k]
        np.testing.assert_allclose(spread, spread[0], atol=1e-6)
    assert np.abs(moved).max() > 0.1


def test_sgd_moves_centroids_by_the_papers_rule_over_the_members(params):
    compression = share.kmeans(4)
    tx = core.as_optax(compression, optax.sgd(0.1))
    state = tx.init(params)
    slope = jnp.arange(120.0).reshape(12, 10) / 100
    before = compression.encode(params, state.compression)["kernel"]
    grads = jax.grad(lambda p: jnp.sum(compression.view(p, state.compression)["kernel"] * slope))(params)
    updates, state = tx.update(grads, state, params)
    after = compression.encode(optax.apply_updates(params, updates), state.compression)["kernel"]
    codes = np.asarray(before.codes)
    want = [c - 0.1 * np.asarray(slope)[codes == k].mean() for k, c in enumerate(np.asarray(before.centroids))]
    np.testing.assert_allclose(after.centroids, want, atol=1e-5)


def test_under_masks(params, key):
    compression = core.chain(prune.gradual(0.75, end=6, every=2), share.kmeans(6))
    after, state, _ = train(compression, params, optax.adamw(0.02, weight_decay=0.1), 10, key)
    state = state.compression
    node = compression.encode(after, state)["kernel"]
    assert isinstance(node, Masked)
    assert isinstance(node.value, Codebook)
    assert bits(jax.jit(compression.view)(after, state)) == bits(compression.encode(after, state))
    mask, codes = np.asarray(node.mask), np.asarray(node.value.codes)
    assert mask.sum() == 30
    # Masked members have no say in the mean of those that are left.
    for k in np.unique(codes[mask]):
        members = np.asarray(after["kernel"])[mask & (codes == k)]
        assert float(node.value.centroids[k]) == pytest.approx(float(members.mean()), abs=1e-5)


def test_zeros_of_an_earlier_stage_stay_zero(params):
    sparse = {"kernel": jnp.where(jnp.abs(params["kernel"]) > 0.8, params["kernel"], 0.0)}
    node = core.compress(sparse, {"kernel": core.chain(prune.nonzero(), share.kmeans(4))})["kernel"]
    np.testing.assert_array_equal(node.materialize() == 0, sparse["kernel"] == 0)
    assert np.abs(node.materialize() - sparse["kernel"]).max() < 0.8


def test_centroids_on_an_integer_grid(params):
    grid = core.only(".*/centroids", quant.rtn(8, granularity="tensor"))
    compression = core.chain(prune.magnitude(0.5), core.sequence(share.kmeans(16), grid))
    state = compression.init(params)
    node = compression.encode(params, state)["kernel"]
    assert isinstance(node.value.centroids, Quantized)
    levels = np.unique(node.materialize())
    steps = levels / float(node.value.centroids.scale[0])
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    assert bits(jax.jit(compression.view)(params, state)) == bits(compression.encode(params, state))
    assert node.size_bits() == 120 + 60 * 4 + 16 * 8 + 32


def test_init_works_on_abstract_values(params):
    state = jax.eval_shape(share.kmeans(16, init="optimal").init, params)
    assert state.codes["kernel"].shape == (12, 10)
    assert state.centroids["kernel"].shape == (16,)


def test_bad_settings(params):
    for settings, message in (
        ({"clusters": 1}, "clusters=1"),
        ({"clusters": 70000}, "clusters=70000"),
        ({"init": "random"}, "init='random'"),
        ({"iterations": -1}, "iterations=-1"),
    ):
        with pytest.raises(ValueError, match=message):
            share.kmeans(**settings)
    with pytest.raises(ValueError, match="'kernel' has 1 non-finite weights of 120"):
        share.kmeans(4).init({"kernel": params["kernel"].at[0, 0].set(jnp.inf)})


def test_one_table_for_all_leaves_is_scikit_learns_of_all_weights(key):
    params = {"a": jax.random.normal(key, (30, 8)), "b": 3 * jax.random.normal(key, (10, 9))}
    whole = np.concatenate([np.ravel(x) for x in params.values()])
    tree = core.compress(params, {".*": share.kmeans(8, scope="global")})
    np.testing.assert_array_equal(tree["a"].centroids, tree["b"].centroids)
    start = np.linspace(whole.min(), whole.max(), 8)[:, None]
    fitted = KMeans(8, init=start, n_init=1, tol=0).fit(whole[:, None])
    ours = sum(float(jnp.sum((tree[name].materialize() - x) ** 2)) for name, x in params.items())
    assert ours == pytest.approx(fitted.inertia_, rel=1e-3)


def test_groups_of_channels_have_their_own_tables(params):
    node = core.compress(params, {"kernel": share.kmeans(3, groups=2)})["kernel"]
    assert isinstance(node, VectorCodebook)
    halves = [
        core.compress({"w": params["kernel"][:, part]}, {"w": share.kmeans(3)})["w"]
        for part in (slice(5), slice(5, 10))
    ]
    expected = np.concatenate([half.materialize() for half in halves], 1)
    np.testing.assert_allclose(node.materialize(), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="do not form 3 equal groups"):
        share.kmeans(3, groups=3).init(params)


def test_importance_moves_centroids_to_what_matters(params):
    weights = np.random.default_rng(0).uniform(0, 1, (12, 10)) ** 4
    node = core.compress(params, {"kernel": share.kmeans(4, importance={"kernel": jnp.asarray(weights)})})["kernel"]
    x = np.ravel(params["kernel"])[:, None]
    start = np.linspace(x.min(), x.max(), 4)[:, None]
    fitted = KMeans(4, init=start, n_init=1, tol=0).fit(x, sample_weight=weights.ravel())
    np.testing.assert_allclose(node.centroids, np.sort(fitted.cluster_centers_.ravel()), rtol=1e-4)
    with pytest.raises(ValueError, match="importance of 'kernel' is none"):
        share.kmeans(4, importance={}).init(params)


def test_random_starts_draw_entries(params, key):
    start = share.kmeans(4, init="random", key=key, iterations=0).init(params).centroids["kernel"]
    assert set(np.asarray(start).tolist()) <= set(np.ravel(params["kernel"]).tolist())
    assert len(set(np.asarray(start).tolist())) == 4


@pytest.mark.parametrize(
    "leaf", [jnp.zeros((3, 4)), jnp.full((1, 1), 2.5), jnp.zeros((0, 3)), jnp.arange(3.0)[:, None]]
)
def test_small_and_empty_leaves_come_back(leaf):
    method = share.kmeans(16, ignore_zeros=False)
    node = method.encode({"w": leaf}, method.init({"w": leaf}))["w"]
    np.testing.assert_array_equal(node.materialize(), leaf)


@pytest.mark.parametrize(
    "setting", [{"scope": "mine"}, {"groups": 0}, {"groups": 2, "scope": "global"}, {"init": "random"}]
)
def test_new_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match="kmeans:"):
        share.kmeans(4, **setting)


def test_a_start_without_draws_takes_a_key():
    """Recipes give a key to every method that has one."""
    params = {"kernel": jnp.arange(12.0).reshape(3, 4)}
    one, other = (share.kmeans(4, key=key).init(params).centroids["kernel"] for key in (None, jax.random.key(3)))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("leaf", [np.float32(3), np.zeros((0, 4), np.float32), np.ones((1, 1), np.float32)])
def test_leaves_smaller_than_their_codebook_are_named(leaf):
    with pytest.raises(ValueError, match=r"kmeans\(clusters=16\) changed no value and saved no byte of a"):
        cj.compress({"a": jnp.asarray(leaf)}, {"a": share.kmeans(16)})


def test_a_leaf_of_zeros_has_one_cluster():
    found = cj.compress({"a": jnp.zeros((6, 8))}, {"a": share.kmeans(2)})["a"]
    np.testing.assert_array_equal(found.materialize(), np.zeros((6, 8)))
