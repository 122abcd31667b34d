"""The pruning report on the digits: all files, numbers that follow from each other, pictures."""

import csv
import json

import pytest

from configs import prune_report as config_file
from experiments import app, prune_report

pytestmark = pytest.mark.loose


@pytest.fixture(scope="module")
def written(data_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    config = config_file.get_config("smoke").to_dict()
    config["model"]["settings"]["widths"] = (16, 12)
    prune_report.report(app.Launch(config, str(folder), str(folder / "cache"), data_cache, app.make_mesh(1)))
    return folder, config


def rows_of(place):
    with open(place, newline="") as file:
        return list(csv.DictReader(file))


def test_curves_of_every_leaf_and_sparsity(written):
    folder, config = written
    rows = rows_of(folder / "sensitivity.csv")
    assert {(row["leaf"], float(row["sparsity"])) for row in rows} == {
        (f"Dense_{i}/kernel", s) for i in range(3) for s in config["sparsities"]
    }
    report = json.loads((folder / "prune_report.json").read_text())
    assert -1 <= report["rank_correlation"]["overall"] <= 1
    for row in rows:
        place = report["sparsities"].index(float(row["sparsity"]))
        assert report["true"][row["leaf"]][place] == float(row["loss"])


def test_masks_of_every_method(written):
    folder, _ = written
    rows = rows_of(folder / "masks.csv")
    methods = {row["method"] for row in rows}
    theirs = {"uniform", "erk", "global", "lamp", "sensitivity", "fisher", "wanda"}
    assert methods == theirs | {"sparsegpt", "sparsegpt by sensitivity"}
    for method in methods:
        mine = [row for row in rows if row["method"] == method]
        zeros = 1 - sum(int(row["kept"]) for row in mine) / sum(int(row["entries"]) for row in mine)
        assert abs(zeros - 0.8) < 0.02


def test_pictures(written):
    folder, _ = written
    for name in ("sensitivity.png", "masks.png"):
        assert (folder / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
