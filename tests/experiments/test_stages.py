"""Each stage leaves the nodes that it promises."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, recipe
from compressjax.tensors import Codebook, LowRank, Masked, Quantized
from experiments.pipeline import build
from experiments.stages.encode import make_encode
from experiments.stages.factorize import make_factorize, replace, stored_bits
from experiments.stages.share import cluster, open_grids
from tests.experiments import tiny

pytestmark = pytest.mark.loose


@pytest.fixture(scope="module")
def results(problem, tmp_path_factory):
    stages = build(problem, tiny.get_config().to_dict())
    events = recipe.run(stages, recipe.Store(str(tmp_path_factory.mktemp("store"))), problem.data.fingerprint)
    return {e.stage.name: e.result for e in events if isinstance(e, recipe.Finished)}


def leaf(results, stage, path="Dense_0/kernel"):
    return core.nodes(results[stage].tree["params"])[path]


def test_all_stages_ran(results):
    assert list(results) == ["teacher", "prune", "factorize", "qat", "share", "distill", "encode"]


def test_prune_leaves_the_share_asked_for(results):
    node = leaf(results, "prune")
    assert isinstance(node, Masked)
    assert int(np.sum(node.mask)) == 512
    assert np.all(np.asarray(node.value)[~np.asarray(node.mask)] == 0)


def test_factorize_decides_for_every_kernel(results):
    notes = results["factorize"].facts["notes"]
    assert [note.split(":")[0] for note in notes] == ["Dense_0/kernel", "Dense_1/kernel"]
    assert all(note.endswith(("kept", "factorized")) for note in notes)


def test_qat_leaves_a_grid(results):
    node = leaf(results, "qat")
    assert isinstance(node.value, Quantized)
    assert node.value.bits == 4
    assert len(np.unique(node.materialize())) <= 15


def test_share_leaves_a_table_and_distill_trains_it(results):
    before, after = leaf(results, "share"), leaf(results, "distill")
    assert isinstance(before.value, Codebook)
    assert before.value.centroids.shape == (6,)
    assert np.array_equal(before.value.codes, after.value.codes)
    assert np.array_equal(before.mask, after.mask)
    assert not np.array_equal(before.value.centroids, after.value.centroids)


def test_encode_puts_biases_on_a_grid(results):
    assert isinstance(leaf(results, "encode", "Dense_1/bias"), Quantized)
    assert leaf(results, "encode", "Dense_1/bias").bits == 8


def test_no_stage_grows_the_file(results):
    sizes = [result.facts["file_bytes"] for result in results.values()]
    assert sizes[0] > sizes[1] > sizes[3] > sizes[4] > sizes[6]
    assert results["encode"].facts["float32_bytes"] == 4 * (64 * 32 + 32 + 32 * 10 + 10)


FACTORISE = {"select": ".*kernel", "budgets": (0.05, 0.5), "tolerance": 1.0, "margin": 1.0, "bits": 4.0}


def factorize(problem, tree, **changes):
    stage = make_factorize(problem, {**FACTORISE, **changes})
    result = stage.finish(*stage.start({"teacher": recipe.Stored({"params": tree}, {})}))
    return core.nodes(result.tree["params"]), result.facts["notes"]


def test_factorize_takes_what_is_low_rank(problem, results):
    params = results["teacher"].tree["params"]
    u, s, v = np.linalg.svd(params["Dense_0"]["kernel"], full_matrices=False)
    low = (u[:, :1] * s[:1] @ v[:1]).astype(np.float32)
    nodes, notes = factorize(problem, replace(params, "Dense_0/kernel", low), select="Dense_0/kernel")
    assert isinstance(nodes["Dense_0/kernel"], LowRank)
    assert nodes["Dense_0/kernel"].rank == 1
    assert notes[0].endswith("costs 0.0 points: factorized")


def test_factorize_keeps_what_the_network_needs(problem, results):
    nodes, notes = factorize(problem, results["teacher"].tree["params"], select="Dense_0/kernel", tolerance=0.0)
    assert not core.is_node(nodes["Dense_0/kernel"])
    assert notes[0].endswith("kept")


def test_factorize_keeps_what_is_smaller_already(problem, results):
    nodes, notes = factorize(problem, results["prune"].tree["params"], budgets=(0.5,), tolerance=100.0)
    assert isinstance(nodes["Dense_0/kernel"], Masked)
    assert "saves too little" in notes[0]


def test_factorize_refuses_a_pattern_that_matches_nothing(problem):
    with pytest.raises(ValueError, match="nothing"):
        factorize(problem, problem.initial_params(), select="nothing")


def test_stored_bits_by_hand():
    assert stored_bits(np.array([1.0, 1.0]), 4) == 8
    assert stored_bits(np.array([1.0, 0.0, 0.0, 0.0]), 5) == pytest.approx(5 + 4 * 0.8112781)


def test_cluster_makes_one_table_a_leaf():
    x = jnp.array([[0.0, 2.5, 5.0], [2.5, 0.0, 5.1]])
    tree = {"m": {"kernel": Masked(x, x != 0)}, "d": {"kernel": x, "bias": jnp.ones(3)}}
    found = cluster(tree, [("m/.*", 2), (".*kernel.*", 3)], "linear")
    assert found["m"]["kernel"].value.centroids.tolist() == pytest.approx([2.5, 5.05])
    assert found["d"]["kernel"].centroids.tolist() == pytest.approx([0.0, 2.5, 5.05])
    assert found["d"]["bias"] is tree["d"]["bias"]


def test_open_grids_reaches_into_factors():
    grid = Quantized(jnp.array([[1], [2]], jnp.int8), jnp.array([[0.5]]))
    tree = {"k": LowRank(grid, grid, 1), "other": grid}
    opened = open_grids(tree, {"k/left": 4})
    assert opened["k"].left.tolist() == [[0.5], [1.0]]
    assert opened["k"].right is grid
    assert opened["other"] is grid


def test_open_grids_refuses_what_matches_nothing():
    with pytest.raises(ValueError, match="nothing"):
        open_grids({"k": jnp.ones(2)}, {"nothing": 4})


def test_a_rule_that_selects_nothing_is_refused(problem):
    stage = make_encode(problem, {"rules": (("nothing", 8, None),)})
    with pytest.raises(ValueError, match="nothing"):
        stage.start({"teacher": recipe.Stored({"params": problem.initial_params()}, {})})


@pytest.mark.parametrize("skip", [("teacher",), ("shrae",)])
def test_only_stages_other_than_the_teacher_can_be_skipped(problem, skip):
    with pytest.raises(ValueError, match="skip"):
        build(problem, {**tiny.get_config().to_dict(), "skip": skip})


def test_skipped_stages_are_left_out(problem):
    config = {**tiny.get_config().to_dict(), "skip": ("share", "distill")}
    assert [stage.name for stage in build(problem, config)] == ["teacher", "prune", "factorize", "qat", "encode"]
