"""Code lengths: the classifier is calibrated, and the study orders what is known."""

import json

import numpy as np
import pytest

from compressjax import theory
from configs import prequential as config_file
from experiments import app
from experiments.reproduce import grid, prequential
from experiments.reproduce.calibrated import Classifier

pytestmark = pytest.mark.loose
CODER = {"batch": 32, "epochs": 20.0, "learning_rate": 2e-2, "widths": (8,), "first": 40}


def launch(config, folder, data_cache):
    return app.Launch(config, str(folder), str(folder / "cache"), data_cache, app.make_mesh(1))


def test_what_a_line_separates_is_short_and_random_labels_are_not(draw):
    x = draw.normal(size=(600, 3)).astype(np.float32)
    model = Classifier(x, 2, CODER, (), seed=0)
    rows, y = np.arange(600), (x[:, 0] > 0).astype(np.int32)
    assert theory.prequential_length(model.fit, rows, y, [40, 80, 160, 320, 600], 2, mix=1e-3).compression > 3
    control = theory.prequential_length(model.fit, rows, draw.permutation(y), [40, 80, 160, 320, 600], 2, mix=1e-3)
    assert control.compression == pytest.approx(1, abs=0.06)


def test_one_row_predicts_nothing():
    predict = Classifier(np.zeros((3, 1), np.float32), 4, CODER, (), seed=0).fit(np.array([1]), np.array([2]))
    assert predict(np.arange(2)).tolist() == [[0.25] * 4] * 2


def test_rounding_costs_more_than_the_bound_and_errors_are_those_of_the_outputs(problem, draw):
    params = {"Dense_0": {"kernel": draw.normal(size=(64, 5))}}
    inputs = np.asarray(problem.standardized(problem.data.train_images)).reshape(-1, 64)
    found = prequential._rounded(params, *prequential._principal(inputs), 0.5)
    kernel = params["Dense_0"]["kernel"]
    width = 0.5 * kernel.std()
    error = np.square(inputs @ (np.round(kernel / width) * width - kernel)).sum()
    assert found["error of outputs, %"] == pytest.approx(100 * error / np.square(inputs @ kernel).sum(), rel=1e-3)
    assert 0 < found["Gaussian weights, bits"] < found["bits a weight"] < 4.5


@pytest.mark.thorough
def test_runs_end_to_end(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    config["model"] = {"name": "mlp", "settings": {"widths": (16, 8)}}
    config["coder"] |= {"learning_rate": 2e-2, "widths": (16,)}
    grid.reproduce(launch(config, tmp_path, data_cache))
    found = {name: run["0"] for name, run in json.loads((tmp_path / "results.json").read_text())["results"].items()}
    assert list(found) == prequential.settings(config)
    assert found["labels, of pixels"]["% of uniform"] < 50 < 95 < found["random labels"]["% of uniform"]


def test_bad_settings_are_named(data_cache, tmp_path):
    smoke = config_file.get_config("smoke").to_dict()
    for change, said in (
        ({"rounding_steps": (0.0,)}, "rounding_steps=0.0"),
        ({"coder": {**smoke["coder"], "first": 2000}}, "coder.first=2000"),
    ):
        with pytest.raises(ValueError, match=said):
            prequential.prepare(launch(smoke | change, tmp_path, data_cache))
