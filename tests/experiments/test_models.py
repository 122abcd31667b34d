"""Networks have the shapes and parameter counts of the papers."""

import jax
import jax.numpy as jnp
import pytest

from experiments import models


@pytest.mark.parametrize(
    ("name", "settings", "shape", "count"),
    [
        ("mlp", {"widths": [300, 100]}, (28, 28, 1), 266_610),  # LeNet-300-100
        ("lenet5", {}, (28, 28, 1), 431_080),  # Caffe's LeNet-5
        ("cnn", {"filters": (32, 64), "width": 256}, (8, 8, 1), 283_786),
    ],
)
def test_parameter_counts(name, settings, shape, count):
    model = models.create(name, settings)
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((2, *shape)))
    assert sum(x.size for x in jax.tree.leaves(params)) == count


def test_unknown_networks_list_the_known():
    with pytest.raises(ValueError, match="lenet5"):
        models.create("resnext", {})


def test_unknown_settings_list_the_known():
    with pytest.raises(ValueError, match="widths"):
        models.create("mlp", {"width": 3})
