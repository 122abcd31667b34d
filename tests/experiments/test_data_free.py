"""Without data: the study runs end to end, and its generator and its calibration read the teacher alone."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import data_free_fashion_mnist
from experiments import app
from experiments.problem import make_problem
from experiments.reproduce import data_free, grid
from experiments.reproduce.loop import train_statistics

pytestmark = pytest.mark.loose


def smoke():
    return data_free_fashion_mnist.get_config("smoke").to_dict()


@pytest.mark.thorough
def test_runs_and_compares_with_the_teacher(data_cache, tmp_path):
    config = smoke()
    config["steps"], config["model"]["settings"] = 200, {"widths": (8, 16), "inner": (8, 16)}
    grid.reproduce(app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1)))
    found = {name: run["0"] for name, run in json.loads((tmp_path / "results.json").read_text())["results"].items()}
    assert list(found) == data_free.settings(config)
    assert found["dense"]["above chance, % of dense"] == 100.0
    assert found["dense"]["error"] < 60  # a tenth of the classes would be 90
    exact = 100 * (90 - found["student, noise"]["error"]) / (90 - found["dense"]["error"])
    assert found["student, noise"]["above chance, % of dense"] == pytest.approx(exact)
    assert abs(found["int8, data"]["error"] - found["dense"]["error"]) < 5


def test_noise_calibrates_within_the_range_of_pixels_and_data_are_data(problem):
    config = {"inversion": {"examples": 50, "steps": 1, "rate": 0.1}}
    noise = data_free.calibration(problem, config, None, "noise")
    assert noise.shape == (50, 8, 8, 1)
    assert (round(float(noise.min())), round(float(noise.max()))) == (0, 16)
    rows = {image.tobytes() for image in problem.data.train_images}
    data = np.asarray(data_free.calibration(problem, config, None, "data")).astype(np.uint8)
    assert all(image.tobytes() in rows for image in data)


@pytest.mark.thorough
def test_real_images_please_the_generators_loss_more_than_noise(data_cache):
    """Weights pick the parts; the moments of real images are nearer to those that the teacher remembers."""
    config = smoke()
    made = make_problem({**config, "seed": 0}, data_cache, app.make_mesh(1))
    teacher = train_statistics(made, config)
    assert set(teacher) == {"params", "batch_stats"}
    pixels = jnp.asarray(made.data.train_images[:64], jnp.float32)
    noise = 16 * jax.random.uniform(jax.random.key(0), pixels.shape)
    guesses = [made.apply(teacher, x) for x in (pixels, noise)]

    def losses(student, **weights):
        rest = {"confidence": 0.0}
        return [
            float(data_free.generator_loss(made, teacher, x, {**rest, **weights}, z))
            for x, z in zip((pixels, noise), student, strict=True)
        ]

    real, random = losses(guesses, moments=1.0)
    assert real < random
    assert losses(guesses) == [0.0, 0.0]
    # A student that agrees leaves nothing to learn, and one that is sure of other classes the most: log 2.
    assert losses(guesses, agreement=1.0) == pytest.approx([0.0, 0.0], abs=1e-5)
    others = [1e4 * jax.nn.one_hot((z.argmax(-1) + 1) % 10, 10) for z in guesses]
    assert -math.log(2) <= min(losses(others, agreement=1.0)) < -0.4
    halves = losses(others, agreement=0.5)
    assert halves == pytest.approx([x / 2 for x in losses(others, agreement=1.0)], rel=1e-5)


def test_a_teacher_without_norms_is_refused(data_cache, tmp_path):
    config = {**smoke(), "model": {"name": "mlp", "settings": {"widths": (4,)}}}
    with pytest.raises(ValueError, match=r"--config.model.name='mlp' has no BatchNorm"):
        data_free.prepare(app.Launch(config, str(tmp_path), str(tmp_path), data_cache, app.make_mesh(1)))


def test_rows_are_chosen_by_name(data_cache, tmp_path):
    config = {**smoke(), "names": ("int8, data", "int9, data")}
    with pytest.raises(ValueError, match="--config.names: 'int9, data' does not exist"):
        data_free.prepare(app.Launch(config, str(tmp_path), str(tmp_path), data_cache, app.make_mesh(1)))
    config["names"] = ("int8, data",)
    assert data_free.settings(config) == ["dense", "int8, data"]
    assert data_free.claims(config) == []
