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
    plain, taught = (quantized.run(shared, config, f"int3{end}", 0) for end in ("", quantized.TAUGHT))
    assert plain["bits a weight"] == taught["bits a weight"] < 4
    assert plain["file kB"] != taught["file kB"]
    alone = {**config, "teacher": {"temperature": 1.0, "alpha": 0.0}}
    assert quantized.run(shared, alone, f"int3{quantized.TAUGHT}", 0)["error"] == plain["error"]
