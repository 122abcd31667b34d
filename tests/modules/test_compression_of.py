"""Finding the layers of a model, and running it without what they bring."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import modules, prune, quant

X = jnp.ones((2, 3))
HALF = prune.magnitude(0.5)


def test_wrappers_inside_a_model_are_layers_too():
    model = nn.Sequential([modules.Compressed(nn.Dense(4), HALF), modules.Dense(4, compression=quant.fake(4)),
                           nn.Dense(2)])  # fmt: skip
    variables = model.init(jax.random.key(0), X)
    joint = modules.compression_of(model, X)
    assert joint.select(variables["params"]) == ("layers_0/kernel", "layers_1/kernel")
    stored = modules.encode(variables, joint)
    assert [type(stored["params"][f"layers_{i}"]["kernel"]).__name__ for i in (0, 1)] == ["Masked", "Quantized"]
    dense = nn.Sequential([nn.Dense(4), nn.Dense(4), nn.Dense(2)])
    np.testing.assert_array_equal(
        modules.plain(model.apply)({"params": variables["params"]}, X), dense.apply({"params": variables["params"]}, X)
    )


def test_a_model_that_is_one_layer_has_its_compression():
    assert modules.compression_of(modules.Dense(4, compression=HALF), X) == HALF


def test_shapes_are_enough():
    model = nn.Sequential([modules.Dense(4, compression=HALF)])
    assert modules.compression_of(model, jax.ShapeDtypeStruct((2, 3), jnp.float32)).name == f"layers_0: {HALF.name}"


def test_no_layer():
    with pytest.raises(ValueError, match=r"Sequential has no layer with a compression.*modules\.Dense"):
        modules.compression_of(nn.Sequential([nn.Dense(4), modules.Dense(2)]), X)


def test_layers_inside_a_wrapper():
    model = modules.Compressed(nn.Sequential([modules.Dense(4, compression=HALF)]), HALF)
    with pytest.raises(ValueError, match=r"'Compressed' acts on layers that bring their own: \['module/layers_0'\]"):
        modules.compression_of(model, X)
