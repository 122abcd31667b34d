"""The experiment on the digits: figures that follow from each other."""

import csv
import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import shrink_fashion_mnist as config_file
from experiments import app, shrink
from experiments.datasets import load
from experiments.resnet import ResNet

pytestmark = pytest.mark.loose


@pytest.fixture(scope="module")
def found(data_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shrink")
    config = config_file.get_config("smoke").to_dict()
    shrink.report(app.Launch(config, str(folder), str(folder / "cache"), data_cache, app.make_mesh(1)))
    with open(folder / "groups.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    picture = (folder / "groups.png").read_bytes()
    return {**json.loads((folder / "shrink.json").read_text()), "csv": rows, "png": picture}


def test_half_of_every_block_is_cut(found):
    assert found["widths"] == {"widths": [2, 4], "inner": [2, 3]}
    assert all(2 * row["kept"] == row["units"] for row in found["groups"])
    assert found["error_of_cut"] <= 1e-5


def test_tables_and_pictures_hold_every_group(found):
    cut = [row for row in found["csv"] if not row["reason"]]
    assert [(row["group"], int(row["units"]), int(row["kept"])) for row in cut] == [
        (row["group"], row["units"], row["kept"]) for row in found["groups"]
    ]
    assert len(found["csv"]) > len(cut)
    width, height = struct.unpack(">II", found["png"][16:24])
    assert found["png"].startswith(b"\x89PNG")
    assert (width, height) == (880, round(110 * (1.0 + 0.35 * len(cut))))


def test_predicted_operations_are_within_a_tenth_of_those_of_xla(found):
    for name, counted in found["flops"]["xla"].items():
        assert found["flops"]["predicted"][name] == pytest.approx(counted, rel=0.1)


def test_bytes_are_those_of_the_arrays(found):
    for name, widths, inner in (("dense", (4, 8), (4, 6)), ("shrunk", (2, 4), (2, 3))):
        model = ResNet(widths=widths, inner=inner)
        variables = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 8, 8, 1)))
        assert found["parameters"][name] == sum(x.size for x in jax.tree.leaves(variables))
        assert found["bytes"][name] == 4 * found["parameters"][name]


def test_text_holds_the_figures(found):
    text = shrink.as_text(found)
    assert f"{found['accuracy']['recovered']:.2f}" in text
    assert f"{found['speed']['4']['faster']['value']:.2f}x faster" in text


def test_training_learns_and_refuses_what_is_no_number(data_cache):
    data = load("digits", "", data_cache)
    model = ResNet(widths=(4,), inner=(4,))
    start = model.init(jax.random.key(0), jnp.ones((1, 8, 8, 1)))
    settings = {"steps": 60, "batch": 64, "learning_rate": 1e-2, "weight_decay": 0.0}
    trained, loss = shrink.train(model, start, data, settings, 0, "dense")
    assert loss < 2.15 < np.log(10)
    assert shrink.right(model, trained, data).mean() > shrink.right(model, start, data).mean()
    with pytest.raises(ValueError, match=r"config.dense.learning_rate"):
        shrink.train(model, start, data, {**settings, "learning_rate": float("nan")}, 0, "dense")
