"""Rotations: orthogonal matrices, the same function, and no more outliers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import quant
from compressjax.interpret import layouts
from tests import helpers


@pytest.mark.parametrize("size", [1, 2, 8, 64, 12, 24, 20, 40, 80])
def test_hadamard_matrices_are_orthogonal_with_entries_of_one_size(size):
    q = quant.hadamard(size).astype(np.float64)
    np.testing.assert_allclose(q @ q.T, np.eye(size), atol=1e-6)
    np.testing.assert_allclose(np.abs(q), size**-0.5, rtol=1e-6)


@pytest.mark.parametrize("size", [0, 6, 28, 36])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"hadamard: size={size} must be a power of two, or 12 or 20"):
        quant.hadamard(size)


WIDTH = 24


def norm(x, scale):
    return x / jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6) * scale[None]


def stream(p, ids):
    """The residual stream before and after two gated layers; the embedding is tied."""
    x = p["table"][ids]
    yield x
    for name in ("one", "two"):
        h = norm(x, p[name]["scale"])
        x = x + (jnp.tanh(h @ p[name]["gate"]) * (h @ p[name]["up"].T)) @ p[name]["down"] + p[name]["bias"][None]
        yield x
    yield norm(x, p["last"]) @ p["table"].T


def model(p, ids):
    return list(stream(p, ids))[-1]


WRITERS = ("table", "one/down", "one/bias", "two/down", "two/bias")
READERS = ("table", "one/gate", "one/up", "two/gate", "two/up")
NORMS = {"one/scale": ("one/gate", "one/up"), "two/scale": ("two/gate", "two/up")}


@pytest.fixture(scope="module")
def network():
    shapes = {"gate": (WIDTH, 16), "up": (16, WIDTH), "down": (16, WIDTH), "bias": (WIDTH,)}
    params = {
        name: {k: helpers.array(i + 10 * n, s) / s[0] ** 0.5 for i, (k, s) in enumerate(shapes.items())}
        | {"scale": 1.0 + jnp.abs(helpers.array(7 + n, (WIDTH,)))}
        for n, name in enumerate(("one", "two"))
    }
    # Outliers in one channel of the stream; the last norm has no scale, because its reader also writes.
    params |= {"table": helpers.array(3, (30, WIDTH)).at[:, 5].add(30.0), "last": jnp.ones(WIDTH)}
    ids = jnp.arange(12)
    return params, ids, layouts(model)(params, ids)


@pytest.mark.turns(2)
@pytest.mark.parametrize("key", [None, 0])
def test_the_function_is_the_same_and_outliers_shrink(network, key):
    params, ids, layout = network
    key = None if key is None else jax.random.key(key)
    turned = quant.rotate(params, {WRITERS: READERS}, norms=NORMS, key=key, layout=layout)
    want = np.asarray(model(params, ids))
    np.testing.assert_allclose(model(turned, ids), want, atol=1e-4 * np.abs(want).max())
    np.testing.assert_array_equal(turned["one"]["scale"], 1.0)
    for before, after in zip(list(stream(params, ids))[:3], list(stream(turned, ids))[:3], strict=True):
        peak = lambda x: float(jnp.max(jnp.abs(x)) / jnp.sqrt(jnp.mean(x * x)))  # noqa: E731
        assert peak(after) < 0.6 * peak(before)


def test_blocks_turn_heads_by_themselves():
    params = {"v": helpers.array(0, (6, 2, 8)), "o": helpers.array(1, (2, 8, 5))}
    fn = lambda p, x: jnp.einsum("nhd,hdo->no", jnp.einsum("ni,ihd->nhd", x, p["v"]), p["o"])  # noqa: E731
    x = helpers.array(2, (4, 6))
    layout = layouts(fn)(params, x)
    turned = quant.rotate(params, {"v": "o"}, size=8, layout=layout)
    np.testing.assert_allclose(fn(turned, x), fn(params, x), atol=1e-4)
    np.testing.assert_allclose(turned["v"][:, 1], params["v"][:, 1] @ quant.hadamard(8), atol=1e-5)


def test_what_does_not_fit_is_named(network):
    params, _, layout = network
    for pairs, settings, message in (
        ({"one/down": "one/none"}, {}, "the tree has no 'one/none'"),
        ({"one/down": "two/down"}, {}, "'two/down' of shape .* reads 16 channels, its partner has 24"),
        ({"one/down": "one/gate"}, {"size": 16}, "size=16 does not divide the 24 channels"),
    ):
        with pytest.raises(ValueError, match=f"rotate: {message}"):
            quant.rotate(params, pairs, layout=layout, **settings)
