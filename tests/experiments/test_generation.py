"""Generated images: the study runs end to end, and its yardsticks read what they should."""

import io
import json

import numpy as np
import pytest
from matplotlib.image import imread

from configs import generate_fashion_mnist
from experiments import app
from experiments.plots import as_picture
from experiments.reproduce import generation, grid, samplers

pytestmark = pytest.mark.loose


@pytest.mark.thorough
def test_runs_and_orders_what_is_known(data_cache, tmp_path):
    config = generate_fashion_mnist.get_config("smoke").to_dict()
    config["model"] = {"name": "mlp", "settings": {"widths": (16,)}}
    config["learning_rate"] = 1e-2
    config["steps"] = config["few"]["tuning"]["steps"] = 200
    grid.reproduce(app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1)))
    found = {name: run["0"] for name, run in json.loads((tmp_path / "results.json").read_text())["results"].items()}
    assert list(found) == generation.settings(config)
    real, noise, gaussian = found["training images"], found["noise"], found["PCA Gaussian"]
    assert (real["memorized, %"], noise["memorized, %"]) == (100.0, 0.0)
    assert real["distance"] < gaussian["distance"] < noise["distance"]
    assert noise["noise / distance"] == pytest.approx(1, rel=0.5)  # another draw
    assert "right labels, %" not in noise
    assert real["right labels, %"] > 60
    assert found["few labels"]["error"] < 70  # a tenth of the classes would be 90
    for name in ("samples.png", "interpolation.png"):
        assert imread(tmp_path / name).shape[:2] == (10 * 8 * 2, 10 * 8 * 2)


def test_a_gaussian_is_that_of_the_principal_components(problem):
    drawn = samplers.gaussian(problem, {"components": 2})
    flat = problem.data.train_images.reshape(len(problem.data.train_images), -1).astype(float)
    mean, (_, stretches, axes) = flat.mean(0), np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    middle, away = drawn.draw(np.array([[0.0, 0.0], [0.0, 1.0]]), np.zeros(2, np.int32)).reshape(2, -1)
    np.testing.assert_allclose(middle, mean, atol=0.51)
    step = axes[0] * stretches[0] / np.sqrt(len(flat) - 1)
    sides = [np.abs(np.clip(mean + sign * step, 0, 16) - away).max() for sign in (1, -1)]
    assert min(sides) < 0.51 < 2 < max(sides)


def test_bytes_survive_the_way_to_a_generator_and_back(problem):
    images = problem.data.train_images[:9]
    there = samplers.signed(problem, images)
    assert (float(there.min()), float(there.max())) == (-1.0, 1.0)
    np.testing.assert_array_equal(samplers.pixels(problem, there), images)


def test_a_picture_repeats_pixels():
    read = np.round(255 * imread(io.BytesIO(as_picture(np.arange(6, dtype=np.uint8).reshape(2, 3, 1))))[..., 0])
    np.testing.assert_array_equal(read[::2, ::2], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(read[1::2, 1::2], read[::2, ::2])
