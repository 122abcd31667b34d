"""Bounds: the study writes files that give the model back, and certifies what they hold."""

import json
import os

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import theory
from configs import bounds as config_file
from experiments import app
from experiments.reproduce import bounds, grid
from experiments.reproduce.coordinates import Coordinates, blurred, gaussian

pytestmark = pytest.mark.loose


def launch(config, folder, data_cache):
    return app.Launch(config, str(folder), str(folder / "cache"), data_cache, app.make_mesh(1))


def test_the_files_hold_what_is_certified(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict() | {"model": {"name": "mlp", "settings": {"widths": (16,)}}}
    config |= {"sweep": (40,), "epochs": 8.0, "learning_rate": 0.05, "blur": 0.0}
    grid.reproduce(launch(config, tmp_path, data_cache))
    found = {name: run["0"] for name, run in json.loads((tmp_path / "results.json").read_text())["results"].items()}
    assert list(found) == bounds.settings(config) == ["d 40", "d 40, 3 levels"]
    cell, place = found["d 40, 3 levels"], tmp_path / "files" / "d-40-3-levels-seed-0"
    assert (
        cell["message bytes"] == os.path.getsize(f"{place}.msg") < cell["file bytes"] == os.path.getsize(f"{place}.cjx")
    )
    assert cell["training error, %"] < cell["bound of the message, %"] <= cell["bound of the file, %"]
    errors = round(cell["training error, %"] / 100 * 1257)
    bits = theory.description_length(8 * cell["message bytes"], tried=1024).bits
    assert cell["bound of the message, %"] == pytest.approx(100 * theory.binomial_tail_bound(errors, 1257, bits))
    assert found["d 40"]["training error, %"] < 75  # a guess has 90


def test_the_start_follows_from_the_seed_alone(problem):
    config = {"blur": 1.0, "scales": {}, "projection": "kronecker"}
    one, same = (Coordinates(problem, config, 6).space for _ in range(2))
    other = Coordinates(problem._replace(seed=5), config, 6).space
    v = jnp.ones(6)
    kernel = lambda space: np.asarray(space.expand(v)["Dense_0"]["kernel"])  # noqa: E731
    np.testing.assert_array_equal(kernel(one), kernel(same))
    assert np.abs(kernel(one) - kernel(other)).max() > 0.1


def test_a_blur_keeps_the_variance_of_noise_and_is_scipy(draw):
    from scipy.ndimage import gaussian_filter

    noise = draw.normal(size=(784, 400)).astype(np.float32)
    found = np.asarray(blurred({"Dense_0": {"kernel": noise, "bias": 0}}, gaussian(28, 1.5))["Dense_0"]["kernel"])
    assert found.var() == pytest.approx(1, abs=0.05)
    inner = found.reshape(28, 28, 400)[12, 12]
    exact = np.stack([gaussian_filter(x, 1.5, truncate=6)[12, 12] for x in noise.T.reshape(400, 28, 28)])
    assert np.corrcoef(inner, exact)[0, 1] > 0.9999


def test_bad_settings_are_named(data_cache, tmp_path):
    for change, said in (
        ({"cells": ((0, 3),)}, "cells: d=0"),
        ({"cells": ((9, 1),)}, "levels=1"),
        ({"tried": 0}, "tried=0"),
        ({"cell": 3}, "cell=3 must divide the side of the images, 8"),
    ):
        with pytest.raises(ValueError, match=said):
            bounds.prepare(launch(config_file.get_config("smoke").to_dict() | change, tmp_path, data_cache))
