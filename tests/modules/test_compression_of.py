"""Finding the layers of a model, and running it without what they bring."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import lift, modules, prune, quant

X = jnp.ones((2, 3))
HALF = prune.magnitude(0.5)


def test_wrappers_inside_a_model_are_layers_too():
    model = nn.Sequential([modules.Compressed(nn.Dense(4), HALF), modules.Dense(4, compression=quant.fake_quant(4)),
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


class Doubled(modules.Dense):
    """A layer with a forward pass of its own."""

    def __call__(self, x):
        return 2 * super().__call__(x)


class Flagged(nn.Module):
    """A model with a flag, and with a layer that is computed again in the backward pass."""

    @nn.compact
    def __call__(self, x, twice):
        layer = nn.remat(modules.Dense)(3, compression=HALF)
        return layer(layer(x)) if twice else layer(x)


def test_flags_and_remat():
    joint = modules.compression_of(Flagged(), X, True)
    assert joint.name == f"CheckpointDense_0: {HALF.name}"
    variables = Flagged().init(jax.random.key(0), X, True)
    stored = modules.encode(variables, joint)
    seen = lift(modules.plain(lambda v, x: Flagged().apply(v, x, True)))(stored, X)
    np.testing.assert_allclose(seen, Flagged().apply(variables, X, True), rtol=1e-6)


def test_a_forward_pass_of_ones_own_stays():
    layer = Doubled(4, compression=HALF)
    variables = layer.init(jax.random.key(0), X)
    stored = modules.encode(variables, modules.compression_of(layer, X))
    np.testing.assert_allclose(lift(modules.plain(layer.apply))(stored, X), layer.apply(variables, X), rtol=1e-6)


def test_methods_of_a_wrapped_model_run_plainly():
    class Model(nn.Module):
        def setup(self):
            self.inner = nn.Dense(4)

        def __call__(self, x):
            return self.features(x) + 1

        def features(self, x):
            return self.inner(x)

    model = modules.Compressed(Model(), HALF)
    variables = model.init(jax.random.key(0), X)
    stored = modules.encode(variables, HALF)
    run = lift(modules.plain(lambda v, x: model.apply(v, x, method="features")))
    np.testing.assert_allclose(run(stored, X), model.apply(variables, X, method="features"), rtol=1e-6)


def test_a_wrapped_layer_with_a_compression():
    model = modules.Compressed(modules.Dense(4, compression=HALF), quant.fake_quant(8))
    with pytest.raises(ValueError, match="leave one"):
        modules.compression_of(model, X)


def test_layers_under_scan_are_refused():
    class Step(nn.Module):
        @nn.compact
        def __call__(self, carry, _):
            return modules.Dense(3, compression=prune.gradual(0.5, end=2))(carry), None

    axes = {"params": 0, "compression": 0}
    model = nn.scan(Step, variable_axes=axes, split_rngs={"params": True}, length=2)()
    with pytest.raises(ValueError, match=r"under nn\.scan.*modules\.Compressed"):
        modules.compression_of(model, X, None)
