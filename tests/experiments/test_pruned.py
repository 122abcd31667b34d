"""Networks trained under several methods: the right masks, and the right figures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.tensors import Masked
from configs import learned_sparsity, sparse_training
from experiments import app, models
from experiments.reproduce import grid, pruned

pytestmark = pytest.mark.loose


def test_figures_by_hand():
    row = np.zeros((3, 4), bool)
    row[1] = True
    kernel = Masked(jnp.ones((1, 1, 2, 2)), jnp.array([[[[True, False], [True, False]]]]))
    found = pruned.figures({"Conv_0": {"kernel": kernel}, "Dense_0": {"kernel": Masked(jnp.ones((3, 4)), row)}}, True)
    assert found["zeros"] == pytest.approx(100 * 10 / 16)
    assert found["thinnest layer keeps"] == pytest.approx(100 / 3)
    assert (found["Conv_0 units"], found["Dense_0 units"]) == (1, 1)
    assert pruned.figures({"kernel": jnp.ones(3)}, True) == {"zeros": 0.0}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("module", "few"),
    [
        (sparse_training, True),  # masks that stay and masks that move
        pytest.param(sparse_training, False, marks=pytest.mark.thorough),
        pytest.param(learned_sparsity, False, marks=pytest.mark.thorough),
    ],
    ids=["some of sparse", "sparse", "learned"],
)
def test_runs_and_says_what_was_asked(module, few, data_cache, tmp_path):
    config = module.get_config("smoke").to_dict()
    if few:
        config["methods"], config["asked"] = config["methods"][:3:2], (("rigl 0.98", "static 0.98", None, -0.3),)
    grid.reproduce(app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1)))
    text = (tmp_path / "table.md").read_text()
    for name in pruned.settings(config):
        assert f"| {name} |" in text
    if module is sparse_training:
        rows = [line.split("|") for line in text.splitlines() if line.startswith(("| set ", "| rigl ", "| static "))]
        assert [row[3].strip() for row in rows] == ["98.00"] * (2 if few else 3)


@pytest.mark.thorough
def test_gates_of_convolutions_belong_to_filters(problem):
    config = learned_sparsity.get_config("smoke,lenet5").to_dict()
    shape = problem.data.train_images.shape[1:]
    model = models.create("cnn", {"filters": (3,), "width": 5})
    params = model.init(problem.key("params"), jnp.zeros((1, *shape)))["params"]
    state = pruned.method(problem._replace(model=model), config, "l0").start(params).compression.init(params)
    parts = jax.tree.leaves(state, is_leaf=lambda x: hasattr(x, "log_alpha"))
    gates = {path: x.shape for part in parts for path, x in part.log_alpha.items()}
    width = 3 * shape[0] * shape[1]
    assert gates == {"Conv_0/kernel": (1, 1, 1, 3), "Dense_0/kernel": (width, 1), "Dense_1/kernel": (5, 1)}
