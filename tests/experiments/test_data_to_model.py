"""Reduced data and compressed models in one file: the pieces, and the study end to end."""

import jax
import numpy as np
import pytest

from configs import data_to_model as config_file
from experiments import app
from experiments.reproduce import arms, data_to_model, grid

pytestmark = pytest.mark.loose


def test_colors_become_gray_rows():
    images = np.zeros((2, 1, 2, 3), np.uint8)
    images[0, 0, 1] = (10, 20, 30)
    found = data_to_model.flat(images)
    assert found.shape == (2, 2)
    assert found[0, 1] == pytest.approx(0.299 * 10 + 0.587 * 20 + 0.114 * 30, abs=0.51)
    np.testing.assert_array_equal(data_to_model.flat(images[..., :1])[0], [0, 10])


def test_budgets_choose_by_held_out_rows_and_report_the_test():
    def runs(held, error, size):
        return {0: {"error": error, arms.HELD: held, arms.SIZE: size, arms.WORK: 2.0}}

    results = {
        "dense": runs(1.0, 1.0, 1.0),
        "joint, pca 4, int4": runs(9.0, 7.0, 3.0),
        "joint, pca 8, int4": runs(8.0, 7.5, 5.0),
        "model alone, int4": runs(6.0, 6.5, 20.0),
        "data alone, pca 4": runs(5.0, 5.5, 200.0),
    }
    lines = arms.at_budgets(results).splitlines()
    assert lines[2] == "| 4 | – | – | 7.00 (pca 4, int4; 3.0 kB, 2 kFLOP) |"
    assert lines[3] == "| 8 | – | – | 7.50 (pca 8, int4; 5.0 kB, 2 kFLOP) |"
    assert "6.50 (int4" in lines[5]
    assert arms.plot(results).startswith(b"\x89PNG")


def test_a_cell_measures_the_file_that_it_gives(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    launch = app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1))
    shared = data_to_model.prepare(launch)
    found = data_to_model.run(shared, config, "data alone, select 8", 0)
    weights = 8 * 8 + 8 + 8 * 10 + 10
    assert 4 * weights < 1e3 * found[arms.SIZE] < 4 * weights + 4000
    assert 1e3 * found[arms.WORK] >= 2 * (8 * 8 + 8 * 10)
    assert len(shared.rows.held) == config["held"]


@pytest.mark.thorough
def test_the_study_writes_what_one_file_gives(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    launch = app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1))
    grid.reproduce(launch)
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "table.md").read_text()
    assert all(f"| {name} |" in text for name in data_to_model.settings(config))
    assert "pca 4" in (tmp_path / "budgets.md").read_text()


def test_a_rounded_reducer_reads_almost_the_same():
    x = np.random.default_rng(0).random((20, 6), np.float32)
    front = data_to_model.reading(None, x)
    np.testing.assert_allclose(data_to_model.read(front, x), (x - x.mean(0)) / x.std(), atol=1e-5)
    labels = np.arange(20) % 2
    rows = data_to_model.Rows(x, labels, x, labels, x, labels)
    front = data_to_model.reading(data_to_model.reducer(rows, "pca", 2, 0, 20), x)
    _, _, right = np.linalg.svd(x - x.mean(0), full_matrices=False)
    z = np.abs((x - x.mean(0)) @ right[:2].T)
    z /= np.asarray(front["deviation"])
    np.testing.assert_allclose(np.abs(data_to_model.read(front, x)), z, atol=1e-4)
    small = jax.jit(data_to_model.read)(data_to_model.rounded(front, 8), x)
    np.testing.assert_allclose(small, data_to_model.read(front, x), atol=0.1)


def test_a_fifth_of_a_table_is_the_test_and_training_rows_set_the_scale():
    x = np.arange(20, dtype=np.float32)[:, None] * np.float32([1.0, -2.0])
    rest, labels, test, test_labels = data_to_model.apart(x, np.arange(20))
    assert len(test) == 4
    assert sorted([*labels, *test_labels]) == list(range(20))
    assert (rest.min(0) == 0).all()
    assert (rest.max(0) == 1).all()
    assert ((test >= 0) & (test <= 1)).all()
    assert (np.argsort(rest[:, 0]) == np.argsort(labels)).all()
    _, labels, _, test_labels = data_to_model.apart(x, np.arange(20) // 2, np.arange(20) // 2)
    assert len(test_labels) == 4
    assert not set(labels) & set(test_labels)
