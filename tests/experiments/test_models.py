"""Networks have the shapes and parameter counts of the papers, and read what they say they read."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments import models

IMAGES, TOKENS, PAIRS = (2, 8, 8, 1), (2, 6), (3, 2)
INNER = 2 * 16 + 4 * 16 * 16 + 4 * 16  # norms and attention of a transformer layer 16 wide


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("name", "settings", "shape", "size"),
    [
        ("mlp", {"widths": [300, 100]}, (28, 28, 1), 266_610),  # LeNet-300-100
        ("lenet5", {}, (28, 28, 1), 431_080),  # Caffe's LeNet-5
        ("lenet5", {"filters": [8, 20], "width": 200}, (28, 28, 1), 208 + 4020 + 64_200 + 2010),
        ("cnn", {"filters": (32, 64), "width": 256}, (8, 8, 1), 283_786),
        ("vgg", {"groups": [[64, 64], [128, 128, 128], [256, 256, 256]]}, (32, 32, 3), 1_883_072 + 1_048_832 + 2_570),
        ("stages", {"blocks": 3}, (32, 32, 3), 269_722),  # ResNet-20, 0.27 M in the paper
        ("stages", {"blocks": 9}, (32, 32, 3), 853_018),  # ResNet-56, 0.85 M in the paper
    ],
)
def test_parameter_counts_of_papers(name, settings, shape, size):
    model = models.create(name, settings)
    found = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((2, *shape)))
    assert count(found["params"]) == size


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("name", "settings", "shape", "result", "size"),
    [
        ("resnet", {"widths": (4, 8), "inner": (6, 10)}, IMAGES, (2, 10), None),
        ("depthwise", {"stem": 4, "widths": (8, 6), "strides": (1, 2)}, IMAGES, (2, 10),
         36 + 8 + (36 + 8 + 32 + 16) + (72 + 16 + 48 + 12) + 70),
        ("vit", {"width": 16, "depth": 2}, IMAGES, (2, 10),
         (16 * 16 + 16) + 4 * 16 + 2 * (INNER + 2 * 16 + 2 * 16 * 32 + 32 + 16) + 32 + 170),
        ("bert", {"vocabulary": 9, "length": 7, "width": 16, "depth": 1}, TOKENS, (2, 6, 16),
         9 * 16 + 7 * 16 + 32 + (INNER + 32 + 2 * 16 * 64 + 64 + 16)),
        ("bert", {"vocabulary": 9, "length": 7, "width": 16, "depth": 1, "classes": 3}, TOKENS, (2, 3), None),
        ("gpt", {"vocabulary": 9, "length": 7, "width": 16, "depth": 1}, TOKENS, (2, 6, 9),
         9 * 16 + 7 * 16 + (INNER + 32 + 2 * 16 * 64 + 64 + 16) + 32),
        ("recurrent", {"units": 5}, IMAGES, (2, 10), 8 * 20 + 5 * 20 + 20 + 60),
        ("recurrent", {"cell": "gru", "units": 5, "vocabulary": 9}, TOKENS, (2, 10), 45 + 75 + 15 + 75 + 5 + 60),
        ("neumf", {"users": 7, "items": 5, "factors": 4, "widths": (6,)}, PAIRS, (3,), 96 + 54 + 11),
    ],
)  # fmt: skip
def test_results_and_parameter_counts(name, settings, shape, result, size):
    model = models.create(name, settings)
    x = jnp.zeros(shape) if len(shape) == 4 else jnp.ones(shape, jnp.int32)
    got, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), x)
    assert got.shape == result
    if size is not None:
        assert count(variables["params"]) == size
    if "batch_stats" in variables:
        _, new = jax.eval_shape(lambda v: model.apply(v, x, True, mutable=["batch_stats"]), variables)
        assert jax.tree.structure(new["batch_stats"]) == jax.tree.structure(variables["batch_stats"])
    described = models.describe(model)
    assert models.create(**described) == model


def test_the_residual_network_has_the_widths_of_its_fields():
    params = jax.eval_shape(models.ResNet((4, 8), (6, 10)).init, jax.random.key(0), jnp.ones(IMAGES))["params"]
    assert params["Conv_0"]["kernel"].shape == (3, 3, 1, 4)
    assert params["Block_0"]["Conv_0"]["kernel"].shape == (3, 3, 4, 6)
    assert params["Block_1"]["Conv_1"]["kernel"].shape == (3, 3, 10, 8)
    assert "Conv_2" not in params["Block_0"]
    assert params["Block_1"]["Conv_2"]["kernel"].shape == (1, 1, 4, 8)


@pytest.mark.thorough
def test_what_tokens_read():
    """GPT reads what is left of a token, BERT all but the padding."""
    tokens = jnp.array([[1, 2, 3, 4, 5, 6]])
    for name, place, reached in (("gpt", 3, range(3, 6)), ("bert", 3, range(6)), ("bert", None, range(6))):
        model = models.create(name, {"vocabulary": 9, "length": 6, "width": 8, "depth": 1, "heads": 2})
        variables = model.init(jax.random.key(0), tokens)
        if place is None:  # two texts that differ by padding alone are read alike where both have words
            got = model.apply(variables, tokens[:, :4])
            padded = model.apply(variables, tokens.at[:, 4:].set(0))
            np.testing.assert_allclose(got, padded[:, :4], rtol=1e-5, atol=1e-6)
            continue
        change = model.apply(variables, tokens) - model.apply(variables, tokens.at[0, place].set(7))
        assert set(np.flatnonzero(jnp.abs(change).max((0, 2)) > 1e-6)) == set(reached), name


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_twins_in_nnx_compute_the_same(name):
    x = jax.random.normal(jax.random.key(1), IMAGES)
    settings = {"widths": (6, 5)} if name == "mlp" else {"filters": (3, 4), "width": 6}
    linen = models.create(name, settings)
    kinds = {"mlp": (models.NNXMLP, 64), "cnn": (models.NNXCNN, IMAGES[1:])}
    kind, inputs = kinds[name]
    twin = kind(inputs, **settings, rngs=nnx.Rngs(0))
    params = linen.init(jax.random.key(0), x)["params"]
    layers = [*getattr(twin, "hidden" if name == "mlp" else "convolutions")]
    layers += [twin.head] if name == "mlp" else [twin.hidden, twin.head]
    for layer, (_, weights) in zip(layers, sorted(params.items(), key=_order), strict=True):
        layer.kernel[...], layer.bias[...] = weights["kernel"], weights["bias"]
    np.testing.assert_allclose(twin(x), linen.apply({"params": params}, x), rtol=1e-5, atol=1e-6)


def _order(item):
    return item[0].split("_")[0] == "Dense", int(item[0].split("_")[1])


def test_unknown_networks_list_the_known():
    with pytest.raises(ValueError, match="lenet5"):
        models.create("resnext", {})


def test_unknown_settings_list_the_known():
    with pytest.raises(ValueError, match="widths"):
        models.create("mlp", {"width": 3})
    with pytest.raises(ValueError, match=r"cell='rnn'.*lstm, gru"):
        models.create("recurrent", {"cell": "rnn"}).init(jax.random.key(0), jnp.zeros(IMAGES))
    assert issubclass(models.MODELS["vit"], nn.Module)
