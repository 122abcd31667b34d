"""Pruning during transfer: the right tasks, and the study end to end."""

import jax.numpy as jnp
import numpy as np
import pytest

from configs import transfer as config_file
from experiments import app
from experiments.reproduce import grid, transfer
from experiments.reproduce.loop import Data

pytestmark = pytest.mark.loose


def test_classes_are_counted_anew():
    x, y = jnp.arange(6.0)[:, None], jnp.array([7, 0, 5, 1, 9, 5])
    found = transfer._of_classes(Data(x, y, x[:2], y[:2]), (5, 7, 9))
    np.testing.assert_array_equal(found.train[:, 0], [0, 2, 4, 5])
    np.testing.assert_array_equal(found.train_labels, [1, 0, 2, 0])
    np.testing.assert_array_equal(found.test_labels, [1])


@pytest.mark.thorough
def test_the_last_layer_is_fresh_and_dense_and_the_others_come_from_the_first_task(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    launch = app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1))
    shared = transfer.prepare(launch)
    assert set(np.unique(shared.source.train_labels)) == set(np.unique(shared.target.train_labels)) == set(range(5))
    found = transfer.run(shared, config, "movement 0.05", 0)
    hidden = [np.size(shared.trained[0][name]["kernel"]) for name in ("Dense_0", "Dense_1")]
    assert found["zeros"] == pytest.approx(95, abs=100 / min(hidden))
    grid.reproduce(launch)
    text = (tmp_path / "table.md").read_text()
    assert "| at most +0.0 | movement 0.05 - magnitude 0.05 |" in text
