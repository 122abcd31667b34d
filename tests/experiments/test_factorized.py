"""The study of factors: its cells, and that training moves what a form stores and nothing else."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import compressjax as cj
from compressjax import lowrank, share
from configs import factorize_fashion_mnist
from experiments import app
from experiments.reproduce import factorized

pytestmark = pytest.mark.loose


def test_every_form_is_trained_as_well() -> None:
    config = factorize_fashion_mnist.get_config("smoke").to_dict()
    names = factorized.settings(config)
    assert names[:4] == ["dense", "dense, trained", "SVD, 20 %", "SVD, 20 %, trained"]
    assert {name for name, *_ in config["asked"]} <= set(names)
    assert len(factorized.rules(dict(config["methods"])["mixed"], "mixed")) == 3


def test_first_weights_keep_their_deviation_in_every_form() -> None:
    params = {name: jax.random.normal(jax.random.key(i), (64, 48)) / 8 for i, name in enumerate("ab")}
    tree = cj.compress(params, {"a": share.hashed(1 / 64), "b": lowrank.tensor_train(rank=2)})
    assert float(jnp.std(tree["a"].materialize())) < 0.05
    spread = factorized.as_spread(params, tree)
    for name, weights in params.items():
        np.testing.assert_allclose(jnp.std(spread[name].materialize()), jnp.std(weights), rtol=1e-5)


@pytest.mark.thorough
def test_chosen_ranks_have_at_most_the_values_of_uniform_ones(data_cache: str, tmp_path: Any) -> None:
    config = factorize_fashion_mnist.get_config("smoke").to_dict()
    config["model"]["settings"] = {"widths": (48, 24)}
    method = ("lowrank.svd", {"rank": 7})
    config["methods"] = (
        ("uniform", ((".*_[01]/kernel", method),)),
        ("chosen", ("chosen ranks", ".*_[01]/kernel", 7, (3, 5, 9, 11))),
    )
    shared = factorized.prepare(app.Launch(config, str(tmp_path), str(tmp_path), data_cache, app.make_mesh(1)))
    uniform, chosen = (factorized.run(shared, config, name, 0) for name in ("uniform", "chosen"))
    assert 0.9 * uniform["values"] < chosen["values"] <= uniform["values"]
    assert factorized.run(shared, config, "dense", 0)["values"] > uniform["values"]


@pytest.mark.thorough
def test_training_keeps_the_size(data_cache: str, tmp_path: Any) -> None:
    config = factorize_fashion_mnist.get_config("smoke").to_dict()
    shared = factorized.prepare(app.Launch(config, str(tmp_path), str(tmp_path), data_cache, app.make_mesh(1)))
    for name in ("SVD-LLM, 20 %", "tensor train", "mixed"):
        plain, tuned = (factorized.run(shared, config, name + end, 0) for end in ("", factorized.TRAINED))
        assert plain["values"] == tuned["values"]
        assert plain["bits a weight"] == tuned["bits a weight"] < 20
        assert tuned["error"] < plain["error"]
