"""Stages of a config: their results, and errors before training."""

from types import SimpleNamespace

import numpy as np
import pytest

from compressjax import artifact, coding, core, recipe
from compressjax.tensors import Codebook, LowRank, Masked, Quantized
from experiments.stages import build, execute
from experiments.stages.execute import check_space
from experiments.stages.factorize import factorize, replace, stored_bits
from experiments.view import View
from tests.experiments import tiny
from tests.helpers import difference
from tests.outside import toy

pytestmark = pytest.mark.loose
FAST = {"epochs": 0.5, "batch": 64, "chunk": 10}
FACTORIZE = {"select": "Dense_0/kernel", "budgets": (0.05, 0.5), "tolerance": 1.0, "margin": 1.0}


def config(*stages, **fields):
    return {**tiny.get_config().to_dict(), **({"stages": stages} if stages else {}), **fields}


def run(problem, settings, folder):
    facts, results = execute(build(problem, settings), str(folder), problem, View())
    return {name: results[name]._replace(facts=facts[name]) for name in results}


@pytest.fixture(scope="module")
def results(problem, tmp_path_factory):
    return run(problem, config(), tmp_path_factory.mktemp("store"))


def leaf(results, stage, path="Dense_0/kernel"):
    return core.nodes(results[stage].tree["params"])[path]


def test_all_stages_ran(results):
    assert list(results) == ["teacher", "prune", "factorize", "qat", "kmeans", "share", "distill", "encode"]


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


def test_kmeans_leaves_a_table_and_trainings_train_it(results):
    before, after = leaf(results, "kmeans"), leaf(results, "distill")
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
    assert sizes[0] > sizes[1] > sizes[3] > sizes[5] > sizes[7]
    assert results["encode"].facts["float32_bytes"] == 4 * (64 * 32 + 32 + 32 * 10 + 10)


@pytest.mark.thorough
def test_methods_and_a_node_of_ones_own_file_train_from_a_config(problem, tmp_path):
    """Functions outside of the package, by their dotted names; then statistics, a smaller network and a file."""
    first = {"select": "Dense_0/kernel"}
    done = run(
        problem,
        config(
            ("train", {**FAST}),
            ("shrink", {"keep": 0.5}),
            ("tests.outside.toy:rising", {"label": "toy", "share": 0.4, "steps": 5, **first, "train": FAST}),
            ("prune.wanda", {"sparsity": 0.5, "select": "Dense_1/kernel", "stats": {"examples": 64}}),
            ("tests.outside.toy:ternarize", first),
        ),
        tmp_path,
    )
    assert done["shrink"].facts["network"]["settings"]["widths"] == [16]
    before, mask = np.asarray(leaf(done, "toy").value), np.asarray(leaf(done, "toy").mask)
    assert mask.shape == (64, 16)
    assert 0.1 < mask.mean() < 0.9
    assert np.abs(before[mask]).min() > 0.2 * np.abs(before).max()
    assert np.sum(leaf(done, "wanda", "Dense_1/kernel").mask, 0).tolist() == [8] * 10
    assert done["toy"].facts["changed_predictions"] > 0
    tree = done["ternarize"].tree
    assert isinstance(leaf(done, "ternarize").value, toy.Ternary)
    artifact.save(tmp_path / "toy.cjx", tree)
    loaded = artifact.load(tmp_path / "toy.cjx").tree
    assert difference(core.materialize(loaded), core.materialize(tree)) == ""
    decoded = coding.materialize(coding.read(tmp_path / "toy.cjx").leaves["params/Dense_0/kernel"])
    np.testing.assert_allclose(decoded, mask * toy.ternary(before).materialize(), rtol=1e-6)


def test_the_cache_holds_what_a_setting_does_not_touch(problem, tmp_path):
    stages = (("train", FAST), ("quant.rtn", {"bits": 4, "granularity": "tensor"}))
    assert [e.cached for e in finished(problem, stages, tmp_path)] == [False, False]
    other = (stages[0], ("quant.rtn", {"bits": 3, "granularity": "tensor"}))
    assert [e.cached for e in finished(problem, other, tmp_path)] == [True, False]


def finished(problem, stages, folder):
    events = recipe.run(build(problem, config(*stages)), recipe.Store(str(folder)), problem.data.fingerprint)
    return [event for event in events if isinstance(event, recipe.Finished)]


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([("quant.rtn", {})], "must begin with `train`"),
        ([("train", {}), ("prune.gradul", {})], r"stages\[1\].*nearest is 'prune.gradual'"),
        ([("train", {"epochs": 1.0, "bach": 64})], "nearest is 'batch'"),
        ([("train", {}), ("factorize", {"selct": "x"})], "nearest is 'select'"),
        ([("train", {}), ("distill", {})], "distill needs `soft`"),
        ([("train", {"optimizer": ("optax:sdg", {})})], "nearest is 'sgd'"),
        ([("train", {}), ("prune.wanda", {"sparsity": 0.5, "stats": {"rows": 3}})], "'examples': 1024"),
        ([("train", {}), ("quant.rtn", {"select": "Dense_9/kernel"})], "Dense_9.*Dense_0/kernel"),
        ([("train", {"batch": 1_000_000})], r"stages\[0\] \(train\): batch=1000000 must be"),
        ([("train", {}), ("prune.gradual", {"sparsity": 0.5, "train": {"epochs": -1}})], r"\(gradual\): epochs=-1"),
        ([("train", {"label": "../../evil"})], r"label '\.\./\.\./evil' names a folder"),
        ([("train", {"label": "[/b]"})], "use letters, digits"),
        ([("train", {}), ("prune.wanda", {"sparsity": 0.5, "stats": {"examples": 2000}})], "stats.examples=2000 must"),
        ([("train", {}), ("factorize", {**FACTORIZE, "tolerance": float("nan")})], "factorize: tolerance=nan"),
        ([("train", {}), ("shrink", {"keep": -0.5})], "shrink: keep=-0.5 must be"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_trains(problem, stages, said):
    with pytest.raises(ValueError, match=said):
        build(problem, config(*stages))


def factorized(problem, tree, **changes):
    tree, facts = factorize(problem, tree, **{**FACTORIZE, **changes})
    return core.nodes(tree)["Dense_0/kernel"], facts["notes"]


def test_factorize_takes_what_is_low_rank(problem, results):
    params = results["teacher"].tree["params"]
    u, s, v = np.linalg.svd(params["Dense_0"]["kernel"], full_matrices=False)
    low = (u[:, :1] * s[:1] @ v[:1]).astype(np.float32)
    node, notes = factorized(problem, replace(params, "Dense_0/kernel", low))
    assert isinstance(node, LowRank)
    assert node.rank == 1
    assert notes[0].endswith("costs 0.0 points: factorized")


def test_factorize_keeps_what_the_network_needs(problem, results):
    node, notes = factorized(problem, results["teacher"].tree["params"], tolerance=0.0)
    assert not core.is_node(node)
    assert notes[0].endswith("kept")


def test_factorize_keeps_what_is_smaller_already(problem, results):
    node, notes = factorized(problem, results["prune"].tree["params"], budgets=(0.5,), tolerance=100.0)
    assert isinstance(node, Masked)
    assert "saves too little" in notes[0]


def test_stored_bits_by_hand():
    assert stored_bits(np.array([1.0, 1.0]), 4) == 8
    assert stored_bits(np.array([1.0, 0.0, 0.0, 0.0]), 5) == pytest.approx(5 + 4 * 0.8112781)


@pytest.mark.parametrize("skip", [("teacher",), ("shrae",)])
def test_only_stages_other_than_the_first_can_be_skipped(problem, skip):
    with pytest.raises(ValueError, match="skip"):
        build(problem, config(skip=skip))


def test_skipped_stages_are_left_out(problem):
    left = [stage.name for stage in build(problem, config(skip=("share", "kmeans")))]
    assert left == ["teacher", "prune", "factorize", "qat", "distill", "encode"]


def test_a_disk_that_holds_no_checkpoint_is_refused_before_training(problem, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=1000))
    with pytest.raises(ValueError, match=r"1,000 free bytes, and one checkpoint needs about 38,560; .* --cache"):
        check_space(str(tmp_path), problem)
