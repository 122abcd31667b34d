"""Whole heads of Flax's attention: masks by NumPy loops, and outputs equal to those of the remaining heads."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, prune
from tests import helpers

pytestmark = pytest.mark.loose

HEADS, SIZE, FEATURES = 4, 3, 5
MODEL = nn.MultiHeadDotProductAttention(HEADS, qkv_features=HEADS * SIZE, use_bias=False)


@pytest.fixture
def params():
    """The kernels that Flax makes: `[features, heads, size]` before the scores, `[heads, size, features]` behind."""
    shapes = jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, 2, FEATURES)))["params"]
    made = {name: {"kernel": helpers.array(i, shapes[name]["kernel"].shape)} for i, name in enumerate(sorted(shapes))}
    assert made["query"]["kernel"].shape == (FEATURES, HEADS, SIZE)
    assert made["out"]["kernel"].shape == (HEADS, SIZE, FEATURES)
    return made


def largest(means, kept):
    return sorted(sorted(range(len(means)), key=lambda h: -means[h])[:kept])


@pytest.mark.turns(3)
@pytest.mark.parametrize(("sparsity", "kept"), [(0.25, 3), (0.5, 2), (0.75, 1), (0.95, 1)])
@pytest.mark.parametrize("name", ["query", "key", "value", "out"])
def test_masks_are_whole_heads_of_largest_mean(params, name, sparsity, kept):
    kernel = np.abs(np.asarray(params[name]["kernel"], np.float64))
    pattern, axis = (prune.patterns.slices(0, "head"), 0) if name == "out" else ("head", 1)
    node = core.compress(params, {f"{name}/kernel": prune.magnitude(sparsity, pattern=pattern)})[name]["kernel"]
    means = [np.mean(kernel[h] if axis == 0 else kernel[:, h]) for h in range(HEADS)]
    want = np.zeros(kernel.shape, bool)
    for h in largest(means, kept):
        if axis == 0:
            want[h] = True
        else:
            want[:, h] = True
    np.testing.assert_array_equal(node.mask, want)
    np.testing.assert_array_equal(node.materialize(), np.where(want, params[name]["kernel"], 0))


@pytest.mark.parametrize("distribution", ["uniform", "global"])
def test_heads_compete_within_a_kernel_or_over_all(params, distribution):
    scores = {path: jnp.abs(x) for path, x in core.values(params).items() if path != "out/kernel"}
    masks = prune.patterns.masks_of(scores, 0.5, distribution, "head")
    means = {(path, h): np.abs(np.asarray(x))[:, h].mean() for path, x in scores.items() for h in range(HEADS)}
    if distribution == "global":
        stay = sorted(means, key=means.get)[-len(means) // 2 :]
    else:
        stay = [(path, h) for path in scores for h in largest([means[path, h] for h in range(HEADS)], 2)]
    for path, h in means:
        assert (np.asarray(masks[path])[:, h] == ((path, h) in stay)).all(), (path, h)


def test_the_network_is_that_of_the_heads_that_stay(params, draw):
    x = draw.normal(size=(2, 6, FEATURES))
    tree = core.compress(params, {"out/kernel": prune.magnitude(0.5, pattern=prune.patterns.slices(0))})
    got = MODEL.apply({"params": core.materialize(tree)}, jnp.asarray(x, jnp.float32))
    kernels = {name: np.asarray(leaf["kernel"], np.float64) for name, leaf in params.items()}
    want = np.zeros(x.shape)
    for h in largest(np.abs(kernels["out"]).mean((1, 2)), 2):
        q, k, v = (x @ kernels[name][:, h] for name in ("query", "key", "value"))
        scores = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(SIZE))
        want += scores / scores.sum(-1, keepdims=True) @ v @ kernels["out"][h]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    assert np.abs(got - MODEL.apply({"params": params}, jnp.asarray(x, jnp.float32))).max() > 0.1
