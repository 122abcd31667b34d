"""The residual network: its fields are the sizes of its arrays."""

import jax
import jax.numpy as jnp

from experiments.resnet import ResNet


def test_widths_and_statistics():
    model = ResNet(widths=(4, 8), inner=(6, 10))
    x = jnp.ones((2, 8, 8, 1))
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    params = variables["params"]
    assert params["Conv_0"]["kernel"].shape == (3, 3, 1, 4)
    assert params["Block_0"]["Conv_0"]["kernel"].shape == (3, 3, 4, 6)
    assert params["Block_1"]["Conv_1"]["kernel"].shape == (3, 3, 10, 8)
    assert "Conv_2" not in params["Block_0"]
    assert params["Block_1"]["Conv_2"]["kernel"].shape == (1, 1, 4, 8)
    assert jax.eval_shape(model.apply, variables, x).shape == (2, 10)
    _, new = jax.eval_shape(lambda v, x: model.apply(v, x, True, mutable=["batch_stats"]), variables, x)
    assert jax.tree.structure(new["batch_stats"]) == jax.tree.structure(variables["batch_stats"])
