"""The study of small files: its settings, what it refuses, and one file."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core
from configs import deep_compression
from experiments import app
from experiments.reproduce import smallest

pytestmark = pytest.mark.loose


@pytest.mark.parametrize("words", ["", "mnist", "lenet5"])
def test_targets_name_settings_and_figures(words):
    config = deep_compression.get_config(words).to_dict()
    names = smallest.settings(config)
    for claim in smallest.claims(config):
        assert claim.name in names
        assert claim.against in ("", *names)
        assert claim.figure in ("error", deep_compression.TIMES)
    assert config["data"]["name"] == ("mnist" if words else "fashion_mnist")


def test_rounding_keeps_masks_and_few_levels():
    params = {"Dense_0": {"kernel": jnp.array([[1.0, -0.3], [0.2, 0.6]]), "bias": jnp.array([0.3, -0.1])}}
    mask = jnp.array([[True, True], [False, True]])
    method = smallest.rounding({"Dense_0/kernel": mask}, {"bits": 3, "bias_bits": 2})
    tree = method.encode(params, method.init(params))
    np.testing.assert_allclose(core.nodes(tree)["Dense_0/kernel"].materialize(), [[1, -1 / 3], [0, 2 / 3]], rtol=1e-3)
    np.testing.assert_allclose(core.nodes(tree)["Dense_0/bias"].materialize(), [0.3, 0], rtol=1e-3)


def test_views_blend_neighbors_by_less_than_a_half():
    view = smallest.views(0, {"shift": 0, "mixup": 0.5})
    images = jnp.array([0.0, 100.0, 0.0], jnp.float32).reshape(3, 1, 1, 1)
    first, second, third = (float(x) for x in np.ravel(view(0, images)))
    assert first == 0
    assert 50 < second < 100
    assert 0 < third < 50
    assert smallest.views(0, {"shift": 0, "mixup": 0.0}) is None


@pytest.mark.thorough
@pytest.mark.parametrize("words", ["smoke", "mnist,smoke"])
def test_the_file_is_small_and_is_what_is_measured(words, data_cache, tmp_path):
    config = deep_compression.get_config(words).to_dict()
    shared = smallest.prepare(app.Launch(config, str(tmp_path), str(tmp_path), data_cache, app.make_mesh(1)))
    dense, small = (smallest.run(shared, config, name, 0) for name in smallest.settings(config))
    assert 0.8 < dense["times smaller"] < 1.3
    assert small["times smaller"] > 8
    assert small["weights"] <= 0.51 * dense["weights"]
    assert small["error"] < 60
