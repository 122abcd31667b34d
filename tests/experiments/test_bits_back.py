"""Files of images: levels have the probabilities of SciPy's logistic, and the coder gives the images back."""

import io
import json

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from PIL import Image

from configs import bits_back as config_file
from experiments import app
from experiments.reproduce import bits_back, grid
from experiments.reproduce.levels import log_probs

pytestmark = pytest.mark.loose


def test_levels_are_the_differences_of_logistic_distributions(draw):
    params = draw.normal(size=(5, 6))
    found = np.exp(log_probs(jnp.asarray(params[:, None]), jnp.arange(9, dtype=jnp.uint8), 8))
    weights, means, scales = np.split(params, 3, -1)
    bounds = np.array([-np.inf, *((np.arange(8) + 0.5) / 4 - 1), np.inf])
    below = scipy.stats.logistic.cdf(bounds[:, None, None], means, np.exp(scales))
    exact = (np.diff(below, axis=0) * scipy.special.softmax(weights, -1)).sum(-1).T
    np.testing.assert_allclose(found, exact, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_the_stream_takes_what_the_bound_says(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict() | {"epochs": 8.0, "learning_rate": 1e-2, "images": 200}
    grid.reproduce(app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1)))
    found = {name: run["0"] for name, run in json.loads((tmp_path / "results.json").read_text())["results"].items()}
    assert list(found) == bits_back.settings(config)
    coded = found["VAE, bits back"]
    noise = 32 * (4 * 4 + 16) / (200 * 64)  # that the stream starts from
    assert coded["bits a pixel"] - noise == pytest.approx(coded["bound, bits"], rel=0.03)
    assert coded["bits a pixel"] < np.log2(17) < found["PNG, a file an image"]["bits a pixel"]
    assert found["PNG, strips"]["bits a pixel"] < found["PNG, a file an image"]["bits a pixel"]


def test_strips_are_images_below_each_other(draw):
    images = draw.integers(0, 256, (3, 4, 4)).astype(np.uint8)
    place = io.BytesIO()
    Image.fromarray(images.reshape(12, 4)).save(place, "PNG", optimize=True)
    assert bits_back._peer("PNG, strips", images, 0) == 8 * len(place.getvalue()) / 48


def test_bad_settings_are_named(data_cache, tmp_path):
    for change, said in (({"group": 3}, "group=3 must divide --config.images=40"), ({"images": 541}, "images=541")):
        config = config_file.get_config("smoke").to_dict() | change
        with pytest.raises(ValueError, match=said):
            bits_back.prepare(app.Launch(config, str(tmp_path), str(tmp_path), data_cache, app.make_mesh(1)))
