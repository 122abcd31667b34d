"""Repaired biases and statistics against least squares and against statistics taken again, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import quant, structure
from tests.helpers import float64


def normal(*shape, scale=1.0, seed=0):
    return jnp.asarray(scale * np.random.default_rng((seed, *shape)).normal(size=shape), jnp.float32)


X = normal(64, 5) + 1.0


def mlp(p, x):
    h = jax.nn.relu(x @ p["a"] + p["b"][None])
    h = jax.nn.relu(h @ p["c"] + p["d"][None])
    return h @ p["e"] + p["f"][None]


MLP = {"a": normal(5, 8), "b": normal(8), "c": normal(8, 8), "d": normal(8, seed=1), "e": normal(8, 3), "f": normal(3)}


def test_a_repaired_bias_is_the_least_squares_one():
    small = structure.shrink(mlp, MLP, X, keep=0.5)
    found = structure.repair(mlp, MLP, small, [X])
    p, new = small.params, found.params
    hidden = np.maximum(float64(X) @ float64(new["a"]) + float64(new["b"]), 0)
    hidden = np.maximum(hidden @ float64(new["c"]) + float64(new["d"]), 0)
    gap = float64(mlp(MLP, X)) - hidden @ float64(new["e"])
    asked = np.linalg.lstsq(np.ones((len(X), 1)), gap, rcond=None)[0][0]
    np.testing.assert_allclose(new["f"], asked, atol=1e-4)
    np.testing.assert_allclose(new["b"], p["b"], atol=1e-6)  # its inputs are what they were
    np.testing.assert_allclose(mlp(new, X).mean(0), mlp(MLP, X).mean(0), atol=1e-4)
    wrong = jnp.mean((mlp(p, X) - mlp(MLP, X)) ** 2)
    assert jnp.mean((mlp(new, X) - mlp(MLP, X)) ** 2) < 0.7 * wrong
    assert found.shifts["b"] < 1e-6 < 0.1 < found.shifts["f"]


def test_batches_of_several_sizes_are_one_set_of_rows():
    small = structure.shrink(mlp, MLP, X, keep=0.5)
    whole = structure.repair(mlp, MLP, small, [X])
    parts = structure.repair(mlp, MLP, small, [(X[:48],), (X[48:],)])
    for name in whole.params:
        np.testing.assert_allclose(parts.params[name], whole.params[name], atol=1e-4)


def normed(p, x, train=False):
    """Three layers with batch norms, their statistics in the tree or taken from the batch."""
    taken = []
    for i in range(3):
        x = x @ p[f"w{i}"]
        mean, var = (x.mean(0), x.var(0)) if train else (p[f"mean{i}"], p[f"var{i}"])
        taken.append((mean, var))
        x = (x - mean[None]) * (jax.lax.rsqrt(var + 1e-5) * p[f"scale{i}"])[None] + p[f"bias{i}"][None]
        x = jax.nn.relu(x)
    return (x @ p["head"], taken) if train else x @ p["head"]


@pytest.mark.thorough
def test_repaired_statistics_are_those_of_the_smaller_model():
    p = {"head": normal(6, 2)}
    for i in range(3):
        p |= {
            f"w{i}": normal(6 if i else 5, 6, seed=i),
            f"scale{i}": 1 + normal(6, scale=0.2),
            f"bias{i}": normal(6, scale=0.5),
        }
    for i, (mean, var) in enumerate(normed(p, X, train=True)[1]):
        p |= {f"mean{i}": mean, f"var{i}": var}
    small = structure.shrink(normed, p, X, keep=0.5, select=r"w[01]:1")
    found = structure.repair(normed, p, small, [X])
    for i, (mean, var) in enumerate(normed(small.params, X, train=True)[1]):
        np.testing.assert_allclose(found.params[f"mean{i}"], mean, atol=1e-3)
        np.testing.assert_allclose(found.params[f"var{i}"], var, rtol=1e-3)
        np.testing.assert_allclose(found.params[f"bias{i}"], small.params[f"bias{i}"], atol=1e-3)
    assert 2 <= found.rounds <= 9
    assert found.shifts["var0"] < 1e-5
    assert found.shifts["mean1"] > 0.05


def test_layers_of_a_scan_are_repaired_one_by_one():
    """A stack has a bias for each layer; a bias that all layers share stays."""
    stack = {"w": normal(3, 4, 6, scale=0.5), "b": normal(3, 6), "v": normal(3, 6, 4, scale=0.5), "c": normal(3, 4)}
    p = {"stack": stack, "shared": normal(4)}

    def layer(h, w, shared):
        return h + (jax.nn.relu(h @ w["w"] + w["b"][None]) @ w["v"] + w["c"][None]) + shared[None]

    def looped(p, x):
        return jax.lax.scan(lambda h, w: (layer(h, w, p["shared"]), None), x, p["stack"])[0]

    def unrolled(p, x):
        for i in range(3):
            x = layer(x, {name: w[i] for name, w in p["stack"].items()}, p["shared"])
        return x

    x = X[:, :4]
    smaller = p | {"stack": stack | {"w": jnp.where(jnp.arange(6) < 3, stack["w"], 0.0)}}
    found = structure.repair(looped, p, smaller, [x])
    assert set(found.shifts) == {"stack/b", "stack/c"}
    # The same by hand for the first layer, which later ones do not change.
    first = [{name: w[0] for name, w in q["stack"].items()} for q in (p, found.params)]
    before, after = (jax.nn.relu(x @ w["w"] + w["b"][None]) @ w["v"] for w in first)
    moved = found.params["stack"]["c"][0] - stack["c"][0]
    np.testing.assert_allclose(moved, before.mean(0) - after.mean(0), atol=1e-3)
    gap = lambda q: jnp.abs(unrolled(q, x).mean(0) - unrolled(p, x).mean(0)).max()  # noqa: E731
    assert gap(found.params) < 1e-3 < gap(smaller)


def test_quantized_weights_are_repaired_too():
    tree = quant.rtn(bits=2).encode(MLP, quant.rtn(bits=2).init(MLP))
    found = structure.repair(mlp, MLP, tree, [X])
    assert type(found.params["a"]).__name__ == "Quantized"
    dense = {name: w.materialize() if hasattr(w, "materialize") else w for name, w in found.params.items()}
    np.testing.assert_allclose(mlp(dense, X).mean(0), mlp(MLP, X).mean(0), atol=2e-3)


def test_what_cannot_be_repaired_is_refused():
    with pytest.raises(ValueError, match="there are no batches"):
        structure.repair(mlp, MLP, MLP, [])
    with pytest.raises(ValueError, match="there is nothing to repair"):
        structure.repair(lambda p, x: x @ p["a"], MLP, MLP, [X])
    with pytest.raises(ValueError, match="'b' has 8 non-finite moments of its inputs"):
        structure.repair(mlp, MLP, MLP, [X * jnp.nan])
