"""The study of grids: which cells it has, and that a teacher changes what a cell learns."""

import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from configs import distill_compressed, lc_mnist, quantize_fashion_mnist
from experiments import app
from experiments.reproduce import loop, quantized

pytestmark = pytest.mark.loose


def test_every_trained_method_has_a_taught_twin() -> None:
    config = distill_compressed.get_config("smoke").to_dict()
    trained = ["int8", "int3", "95 % zeros"]
    assert quantized.settings(config) == ["dense", *trained, *(f"{name}, taught" for name in trained)]
    assert quantized.settings({**config, "teacher": None}) == ["dense", *trained]
    taught, plain = (quantized.methods(config, name) for name in ("int3, taught", "int3"))
    assert [(path, c.name) for path, c in taught.items()] == [(path, c.name) for path, c in plain.items()]


@pytest.mark.thorough
def test_a_teacher_changes_what_is_learned(data_cache: str, tmp_path: Any) -> None:
    config = distill_compressed.get_config("smoke").to_dict()
    config["model"] = {"name": "mlp", "settings": {"widths": (16,)}}
    shared = quantized.prepare(app.Launch(config, str(tmp_path), str(tmp_path), data_cache, app.make_mesh(1)))
    plain = quantized.run(shared, config, "int3", 0)
    soft, alone = (quantized.run(shared, {**config, "teacher": {"temperature": 4.0, "alpha": alpha}},
                                 f"int3{quantized.TAUGHT}", 0) for alpha in (1.0, 0.0))  # fmt: skip
    assert plain["bits a weight"] == soft["bits a weight"] < 4
    assert soft["error"] != plain["error"] == alone["error"]


def test_rows_of_a_config_name_leaves_or_mean_all_kernels() -> None:
    config = quantize_fashion_mnist.get_config("smoke,cnn,ends").to_dict()
    outer, inner = quantized.methods(config, "W4A4, LSQ")
    paths = ("Conv_0/kernel", "Conv_1/kernel", "Dense_1/kernel")
    assert [re.fullmatch(outer, path) is not None for path in paths] == [True, False, True]
    assert re.fullmatch(inner, "Conv_1/kernel")
    with pytest.raises(ValueError, match="ends goes with the dense network"):
        quantize_fashion_mnist.get_config("smoke,lstm,ends")
    with pytest.raises(ValueError, match="name several networks"):
        quantize_fashion_mnist.get_config("smoke,lstm,cnn")
    for words in ("smoke,resnet20", "smoke,resnet20,ends", "smoke,ends"):  # every row that a config names is there
        found = quantize_fashion_mnist.get_config(words).to_dict()
        assert all(quantized.methods(found, name) for name in quantized.settings(found)[1:])
    mixed = lc_mnist.get_config("smoke").to_dict()
    assert {name for row in mixed["asked"] for name in row[:2]} <= set(quantized.settings(mixed))
    assert len(quantized.methods(mixed, "mixed")) == 3
    plain = quantize_fashion_mnist.get_config("smoke").to_dict()
    assert list(quantized.methods(plain, "W4A4, LSQ")) == list(quantized.methods(plain, "int4")) == [quantized.KERNELS]


def test_statistics_stay_when_a_frozen_network_trains() -> None:
    module = nn.BatchNorm(use_running_average=True)
    x = jnp.array([[1.0], [3.0]])
    variables = module.init(jax.random.key(0), x)
    grads = jax.grad(lambda v: jnp.sum(loop.frozen(module.apply)(v, x) ** 2))(variables)
    assert float(grads["batch_stats"]["mean"][0]) == float(grads["batch_stats"]["var"][0]) == 0.0
    assert float(grads["params"]["scale"][0]) == pytest.approx(20.0, rel=1e-4)  # of (1 s)^2 + (3 s)^2 at s = 1
