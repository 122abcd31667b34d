"""The study of factors: its cells, and that training moves what a form stores and nothing else."""

from typing import Any

import pytest

from configs import factorize_fashion_mnist
from experiments import app
from experiments.reproduce import factorized

pytestmark = pytest.mark.loose


def test_every_form_is_trained_as_well() -> None:
    config = factorize_fashion_mnist.get_config("smoke").to_dict()
    names = factorized.settings(config)
    assert names[:3] == ["dense", "SVD, 20 %", "SVD, 20 %, trained"]
    assert {name for name, *_ in config["asked"]} <= set(names)
    assert len(factorized.rules(config, "mixed, trained")) == 3


@pytest.mark.thorough
def test_training_keeps_the_size(data_cache: str, tmp_path: Any) -> None:
    config = factorize_fashion_mnist.get_config("smoke").to_dict()
    shared = factorized.prepare(app.Launch(config, str(tmp_path), str(tmp_path), data_cache, app.make_mesh(1)))
    for name in ("SVD-LLM, 20 %", "tensor train", "mixed"):
        plain, tuned = (factorized.run(shared, config, name + end, 0) for end in ("", factorized.TRAINED))
        assert plain["values"] == tuned["values"]
        assert plain["bits a weight"] == tuned["bits a weight"] < 20
        assert tuned["error"] < plain["error"]
