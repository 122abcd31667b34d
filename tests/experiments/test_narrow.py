"""Mixed precision in experiments: a stage in float16, and the study."""

import jax
import pytest

from configs import precision_fashion_mnist
from experiments import app, stages
from experiments.problem import make_problem
from experiments.reproduce import grid, narrow
from tests.experiments import tiny

pytestmark = pytest.mark.loose


def test_a_stage_trains_in_float16(data_cache):
    """Adam's first steps overflow or not, but all are counted, and the parameters stay float32."""
    config = tiny.get_config().to_dict()
    problem = make_problem(config, data_cache, app.make_mesh(1))
    settings = {"epochs": 1.0, "batch": 64, "chunk": 10, "save_every": 20, "precision": "float16"}
    (stage,) = stages.build(problem, {**config, "stages": (("train", settings),)})
    context, state = stage.start({})
    state, first = stage.advance(context, state, 0, 10)
    state, last = stage.advance(context, state, 10, 10)
    assert last["loss"] < first["loss"]
    assert {x.dtype.name for x in jax.tree.leaves(state.params)} == {"float32"}
    notes = stage.finish(context, state).facts["notes"]
    assert any("steps overflowed in float16 and were skipped" in note for note in notes)
    with pytest.raises(ValueError, match="format 'int8' is not known"):
        stages.build(problem, {**config, "stages": (("train", {**settings, "precision": "int8"}),)})


@pytest.mark.thorough
def test_the_study_skips_what_it_forces(data_cache, tmp_path):
    config = precision_fashion_mnist.get_config("smoke").to_dict()
    config["model"] = {"name": "mlp", "settings": {"widths": (16,)}}
    grid.reproduce(app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1)))
    lines = (tmp_path / "table.md").read_text().splitlines()
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in lines if line.startswith("| ")}
    assert set(narrow.settings(config)) <= set(rows)
    assert float(rows["float16, forced overflows"][1]) >= 4
    assert float(rows["dense"][2]) == 100
