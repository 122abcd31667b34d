"""The study of grids: which cells it has, and that a teacher changes what a cell learns."""

from typing import Any

import pytest

from configs import distill_compressed
from experiments import app
from experiments.reproduce import quantized

pytestmark = pytest.mark.loose


def test_every_trained_method_has_a_taught_twin() -> None:
    config = distill_compressed.get_config("smoke").to_dict()
    trained = ["int8", "int3", "95 % zeros"]
    assert quantized.settings(config) == ["dense", *trained, *(f"{name}, taught" for name in trained)]
    assert quantized.settings({**config, "teacher": None}) == ["dense", *trained]
    assert quantized.method(config, "int3, taught").name == quantized.method(config, "int3").name


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
