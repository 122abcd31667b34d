"""The experiment on the digits: consistent figures."""

import csv
import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core
from configs import shrink_fashion_mnist as config_file
from experiments import app, shrink
from experiments.datasets import batch_indices
from experiments.models import ResNet
from experiments.problem import assess, make_problem, predict
from experiments.stages import build, execute
from experiments.stages.training import DEFAULTS, make_optimizer
from experiments.view import View

# A residual network is compiled ten times; tests/structure and the stage `shrink` find the same faults.
pytestmark = [pytest.mark.loose, pytest.mark.thorough]


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
    assert found["widths"] == {"widths": [2, 4], "inner": [2, 3], "classes": 10}
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


def test_statistics_of_batch_norm_move_along(data_cache, tmp_path):
    """Trained through the stages: loss falls, and running means are those of a plain loop's last steps."""
    config = config_file.get_config("smoke").to_dict()
    config["stages"] = config["stages"][:1]
    config["stages"][0][1]["epochs"] = 60 / 19
    problem = make_problem(config, data_cache, app.make_mesh(1))
    params = problem.initial_params()
    _, results = execute(build(problem, config), str(tmp_path), problem, View())
    trained = results["dense"].tree["params"]
    assert set(trained) == {"params", "batch_stats"}
    labels = problem.data.test_labels
    before, after = (
        assess(predict(problem.apply, tree, problem.data.test_images), labels) for tree in (params, trained)
    )
    assert after["accuracy"] > before["accuracy"] + 0.2
    settings = {**DEFAULTS, **config["stages"][0][1]}
    tx = make_optimizer(settings, 60)
    state = tx.init(params["params"])

    @jax.jit
    def step(variables, state, rows):
        x = (problem.images[rows].astype(jnp.float32) - problem.data.mean) / problem.data.std

        def loss(params):
            logits, new = problem.model.apply({**variables, "params": params}, x, True, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, problem.labels[rows]).mean(), new

        grads, new = jax.grad(loss, has_aux=True)(variables["params"])
        updates, state = tx.update(grads, state, variables["params"])
        return {"params": optax.apply_updates(variables["params"], updates), **new}, state

    for rows in batch_indices(problem.seed, "dense", 0, 60, 64, len(problem.labels)):
        params, state = step(params, state, rows)
    for path, x in core.values(params).items():
        np.testing.assert_allclose(core.values(trained)[path], x, atol=2e-3)
