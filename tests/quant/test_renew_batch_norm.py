"""Statistics of norms against moments by hand, through nodes and two norms in a row."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import compressjax as cj
from compressjax import quant


class Network(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        for _ in range(2):
            x = nn.BatchNorm(use_running_average=not train, momentum=0.8)(nn.Dense(3, use_bias=False)(x))
        return x


def test_moments_of_rounded_weights_are_those_by_hand(key: jax.Array) -> None:
    network, x = Network(), jax.random.normal(key, (2, 16, 4)) + 1.0
    variables = network.init(key, x[0])
    params = cj.compress(variables["params"], {".*kernel": quant.rtn(2)})

    def train(params, stats, x):
        return network.apply({"params": params, "batch_stats": stats}, x, True, mutable=["batch_stats"])[1][
            "batch_stats"
        ]

    new = quant.renew_batch_norm(
        cj.lift(train, on_fallback="ignore"), params, variables["batch_stats"], list(x), momentum=0.8
    )
    means, variances = [], []
    kernels = [np.asarray(params[f"Dense_{i}"]["kernel"].materialize(), np.float64) for i in range(2)]
    for batch in np.asarray(x, np.float64):
        y = batch @ kernels[0]
        y = (y - y.mean(0)) / np.sqrt(y.var(0) + 1e-5) @ kernels[1]
        means.append(y.mean(0))
        variances.append(y.var(0))
    np.testing.assert_allclose(new["BatchNorm_1"]["mean"], np.mean(means, 0), atol=1e-5)
    np.testing.assert_allclose(new["BatchNorm_1"]["var"], np.mean(variances, 0), rtol=1e-4)
    first = np.mean([(b @ kernels[0]).mean(0) for b in np.asarray(x, np.float64)], 0)
    np.testing.assert_allclose(new["BatchNorm_0"]["mean"], first, atol=1e-5)


def test_bad_arguments() -> None:
    stats = {"mean": jnp.zeros(1)}
    with pytest.raises(ValueError, match=r"momentum=1.0 must be at least 0 and below 1"):
        quant.renew_batch_norm(lambda p, s, x: s, (), stats, [0], momentum=1.0)
    with pytest.raises(ValueError, match="there is no batch"):
        quant.renew_batch_norm(lambda p, s, x: s, (), stats, [])
    with pytest.raises(ValueError, match=r"\['mean'\] stays as it is; train must run"):
        quant.renew_batch_norm(lambda p, s, x: s, (), stats, [0])
    with pytest.raises(ValueError, match=r"\['mean'\] keeps 0.9 of the old average, and momentum=0.99"):
        quant.renew_batch_norm(lambda p, s, x: {"mean": 0.9 * s["mean"] + 0.3}, (), stats, [0])
    with pytest.raises(ValueError, match=r"\['mean'\] is not finite"):
        quant.renew_batch_norm(lambda p, s, x: {"mean": 0.99 * s["mean"] + jnp.inf}, (), stats, [0])
