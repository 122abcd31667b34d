"""Agreement with peers, where they are installed; elsewhere a skip that names the command."""

import importlib.metadata

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import coding, compress, lift, quant, tensors
from compressjax.share._lloyd import lloyd
from experiments.bench import coded, int8, networks
from experiments.bench.coding import entropy_bytes, weights
from tests.share.optimal import optimal
from tests.style.source import ROOT
from third_party import peers


def adapter(name: str):
    peer = peers.load(name)
    if peer.adapter is None:
        pytest.skip(peer.reason)
    return peer.adapter


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(0)


def test_an_absent_peer_says_how_to_install_it(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    peer = peers.load("qwix")
    assert peer.adapter is None
    assert "pip install" in peer.reason


def test_an_unknown_peer_is_refused():
    with pytest.raises(ValueError, match="qwix"):
        peers.load("nobody")


def test_every_folder_is_a_peer_with_a_readme():
    folders = {path.name for path in (ROOT / "third_party").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(peers.NAMES)
    for name in folders:
        readme = (ROOT / "third_party" / name / "README.md").read_text()
        assert (ROOT / "third_party" / name / "adapter.py").exists()
        assert "tried with" in readme
        assert "must agree" in readme


# qwix lets the largest weight fall on 127.5 and clips it, ours on 127: its grid is finer by this factor.
QWIX_GRID = 127 / 127.5


@pytest.mark.loose
def test_qwix_has_the_same_codes_and_scales(draw):
    theirs = adapter("qwix")
    kernel = jnp.asarray(draw.normal(size=(64, 24)), jnp.float32)
    codes, scale = theirs.quantize(kernel)
    node = compress({"k": kernel}, {"k": quant.rtn(bits=8)})["k"]
    np.testing.assert_allclose(np.ravel(node.scale) * QWIX_GRID, np.ravel(scale), rtol=2**-15)
    assert np.abs(np.asarray(node.dense_codes(), int) - np.asarray(codes, int)).max() == 1
    error = np.linalg.norm(node.materialize() - kernel)
    assert error <= 1.02 * np.linalg.norm(np.asarray(codes, np.float32) * scale - kernel)


@pytest.mark.loose
@pytest.mark.parametrize("rows", [1, 8, 33])
def test_qwix_has_the_same_integer_product(draw, rows):
    """With its codes and scales in our node, only the rounding of activations differs."""
    theirs = adapter("qwix")
    kernel = jnp.asarray(draw.normal(size=(256, 48)), jnp.float32)
    x = jnp.asarray(draw.normal(size=(rows, 256)), jnp.float32)
    weights, apply = theirs.dense(kernel)
    codes, scale = theirs.quantize(kernel)
    node = tensors.Quantized(jnp.transpose(codes), scale, order=(1, 0), activation="dynamic")
    ours, peer = lift(lambda p, x: x @ p["k"])({"k": node}, x), apply(weights, x)
    exact = np.asarray(x, np.float64) @ np.asarray(node.materialize(), np.float64)
    bound = np.abs(np.asarray(x)).max(axis=1, keepdims=True) / 127 * np.abs(np.asarray(node.materialize())).sum(axis=0)
    assert np.all(np.abs(np.asarray(ours) - np.asarray(peer)) <= bound)
    assert np.linalg.norm(ours - exact) <= 1.1 * np.linalg.norm(peer - exact)


@pytest.mark.loose
def test_qwix_has_the_same_integer_convolution(draw):
    theirs = adapter("qwix")
    kernel = jnp.asarray(draw.normal(size=(3, 3, 16, 12)), jnp.float32)
    x = jnp.asarray(draw.normal(size=(3, 8, 8, 16)), jnp.float32)
    weights, apply = theirs.convolution(kernel)
    codes, scale = theirs.quantize(kernel)
    node = tensors.Quantized(codes, scale, activation="dynamic")
    ours, peer = lift(int8.convolution)({"kernel": node}, x), apply(weights, x)
    exact = int8.convolution({"kernel": node.materialize()}, x)
    assert np.linalg.norm(ours - exact) <= 1.1 * np.linalg.norm(peer - exact)
    assert np.linalg.norm(ours - peer) <= 0.02 * np.linalg.norm(exact)


@pytest.mark.parametrize("clusters", [2, 5, 16])
def test_scikit_learn_has_the_same_centroids_from_the_same_start(draw, clusters):
    theirs = adapter("scikit_learn")
    # Without gaps no cluster of the start is empty; scikit-learn moves empty ones, ours stay.
    values = draw.beta(2, 2, size=3000).astype(np.float32)
    centroids, codes = lloyd(jnp.asarray(values), clusters, init="linear", iterations=300, ignore_zeros=False)
    peer, labels = theirs.kmeans(values, np.linspace(values.min(), values.max(), clusters), 300)
    order = np.argsort(peer)
    np.testing.assert_allclose(centroids, peer[order], atol=2e-3)
    assert (order[np.asarray(codes)] == labels).mean() > 0.995
    ours = np.sum((np.asarray(centroids)[codes] - values) ** 2)
    assert ours == pytest.approx(np.sum((peer[labels] - values) ** 2), rel=1e-4)


@pytest.mark.parametrize("clusters", [3, 8])
def test_scikit_learn_finds_nothing_better_than_the_optimum(draw, clusters):
    theirs = adapter("scikit_learn")
    values = draw.standard_t(3, size=400)
    centroids, least = optimal(values, clusters)
    reached = np.min((values[:, None] - centroids) ** 2, axis=1).sum()
    assert reached == pytest.approx(least)
    assert least <= theirs.distortion(values, clusters, seed=0) * (1 + 1e-6)


@pytest.mark.parametrize("name", ["zstandard", "brotli"])
def test_general_compressors_give_the_codes_back_and_are_longer_than_ours(name, draw):
    theirs = adapter(name)
    symbols = weights(draw, 3, 20_000)
    packed = coded.packed(symbols.astype(np.int16) - 4, 3)
    bits = np.unpackbits(np.frombuffer(theirs.decompress(theirs.compress(packed)), np.uint8))[:60_000]
    np.testing.assert_array_equal(bits.reshape(-1, 3) @ [4, 2, 1], symbols)
    shortest = min(len(theirs.compress(x)) for x in (packed, symbols.tobytes()))
    assert coding.loads(coding.dumps({"codes": symbols})).manifest.ledger.leaves[0].file_bytes < shortest


def test_constriction_is_not_shorter_than_ours_by_more_than_one_per_cent(draw):
    theirs = adapter("constriction")
    symbols = weights(draw, 4, 50_000)
    model = theirs.model(symbols.astype(np.int32))
    words = theirs.encode(symbols.astype(np.int32), model)
    np.testing.assert_array_equal(theirs.decode(words, model, symbols.size), symbols)
    payload = coding.loads(coding.dumps({"codes": symbols})).manifest.ledger.leaves[0].file_bytes
    assert payload <= 1.01 * entropy_bytes(symbols)
    assert payload <= 1.01 * words.nbytes


@pytest.mark.loose
@pytest.mark.parametrize("name", ["LeNet-5", "ResNet", "LSTM", "encoder"])
def test_onnxruntime_runs_the_same_networks(name, draw):
    theirs = adapter("onnxruntime")
    shape = {"LSTM": (2, 5, 28), "encoder": (2, 6, 384)}.get(name, (2, 28, 28, 1))
    x = jnp.asarray(draw.normal(size=shape), jnp.float32)
    weights = {}
    asked = networks.NETWORKS[name](networks.Arrays(weights, draw), x)
    graph = theirs.Graph(networks.multiplied(weights))
    model = graph.model(shape, networks.NETWORKS[name](graph, "x"), asked.shape)
    got = theirs.programs(model, x, 1)["float32"]()
    np.testing.assert_allclose(got, asked, atol=1e-4 * float(jnp.abs(asked).max()))
