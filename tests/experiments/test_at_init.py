"""Pruning before training: the right masks, and the study end to end on the digits."""

import jax
import numpy as np
import pytest

from compressjax import core
from configs import at_init as config_file
from experiments import app
from experiments.reproduce import grid, pruned

pytestmark = pytest.mark.loose
SALIENCIES = ("random", "magnitude", "snip", "grasp", "synflow")


@pytest.fixture(scope="module")
def config():
    return config_file.get_config("smoke").to_dict()


@pytest.mark.turns(3)
@pytest.mark.parametrize("method", SALIENCIES)
def test_masks_have_the_budget(problem, config, method):
    params = problem.initial_params()
    compression = pruned.method(problem, config, f"{method} 0.8").start(params).compression
    masks = jax.jit(compression.init)(params).masks
    total = sum(mask.size for mask in masks.values())
    kept = sum(int(mask.sum()) for mask in masks.values())
    assert set(masks) == {"Dense_0/kernel", "Dense_1/kernel"}
    assert abs(kept - 0.2 * total) <= 1


@pytest.mark.thorough
def test_snip_is_its_definition_on_the_networks_loss(problem, config):
    import optax

    params = problem.initial_params()
    masks = pruned.method(problem, config, "snip 0.8").start(params).compression.init(params).masks
    from experiments.datasets import batch_indices

    rows = batch_indices(problem.seed, "snip", 0, 1, 32, len(problem.labels))[0]

    def loss(params):
        logits = problem.apply(params, problem.images[rows])
        return optax.softmax_cross_entropy_with_integer_labels(logits, problem.labels[rows]).mean()

    grads, flat = core.values(jax.grad(loss)(params)), core.values(params)
    scores = {path: np.abs(np.asarray(grads[path] * flat[path])) for path in masks}
    kept = np.concatenate([scores[path][np.asarray(masks[path])] for path in masks])
    gone = np.concatenate([scores[path][~np.asarray(masks[path])] for path in masks])
    assert kept.min() >= gone.max()


@pytest.mark.thorough
def test_runs_and_says_what_was_asked(config, data_cache, tmp_path):
    launch = app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1))
    grid.reproduce(launch)
    text = (tmp_path / "table.md").read_text()
    for name in pruned.settings(config):
        assert f"| {name} |" in text
    assert "| at most +0.0 | snip 0.8 - random 0.8 |" in text


def test_a_bad_method_is_refused_before_anything_trains(config, data_cache, tmp_path):
    config = {**config, "methods": (("magic", ("prune.one_shot", {"saliency": ("saliency.magic", {})})),)}
    launch = app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1))
    with pytest.raises(ValueError, match=r"\(magic\).*saliency.magic is not a public function"):
        pruned.prepare(launch)


def test_what_is_asked_has_its_cells():
    for text in ("", "mnist"):
        config = config_file.get_config(text).to_dict()
        asked = [row for row in config["asked"] if not row[1].startswith("random")]
        assert len(pruned.claims(config)) == len(config["asked"]) > len(asked)
        assert len(pruned.claims({**config, "methods": (("snip", ()),)})) == len([r for r in asked if r[0][0] == "s"])


def test_what_is_asked_speaks_of_what_is_run():
    for text in ("", "mnist", "mnist,lenet5"):
        chosen = config_file.get_config(text)
        rows = {"dense", "", *(f"{method} {s}" for method, _ in chosen.methods for s in chosen.sparsities)}
        assert {name for asked in chosen.asked for name in asked[:2]} <= rows
    assert (chosen.model.name, chosen.scan) == ("lenet5", False)
