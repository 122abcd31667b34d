"""The pruning report on the digits: every column against a network, gradients and ranks of NumPy and SciPy."""

import csv
import io
import json
import struct

import numpy as np
import pytest
from matplotlib import colors, image
from scipy import stats

from configs import prune_report as config_file
from experiments import app, prune_report
from experiments.problem import make_problem
from experiments.stages import build, execute
from experiments.view import View

pytestmark = [pytest.mark.loose, pytest.mark.thorough]
LEAVES = [f"Dense_{i}/kernel" for i in range(3)]


@pytest.fixture(scope="module")
def written(data_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    config = config_file.get_config("smoke").to_dict()
    config["model"]["settings"]["widths"] = (16, 12)
    prune_report.report(app.Launch(config, str(folder), str(folder / "cache"), data_cache, app.make_mesh(1)))
    return folder, config


class Trained:
    """The pruned network from the run's cache, in double precision in NumPy."""

    def __init__(self, written, data_cache):
        folder, config = written
        problem = make_problem(config, data_cache, app.make_mesh(1))
        _, results = execute(build(problem, config), str(folder / "cache"), problem, View())
        tree = results["teacher"].tree["params"]
        self.biases = [tree[f"Dense_{i}"]["bias"].astype(np.float64) for i in range(3)]
        self.kernels = [tree[f"Dense_{i}"]["kernel"].astype(np.float64) for i in range(3)]
        data, count = problem.data, config["examples"]
        self.x, self.test_x = (
            (x.reshape(len(x), -1).astype(np.float64) - data.mean) / data.std
            for x in (data.train_images[:count], data.test_images)
        )
        self.y, self.test_y = np.asarray(data.train_labels[:count]), np.asarray(data.test_labels)

    def inputs(self, kernels, x):
        """The input of every layer, and the logits."""
        found = [x]
        for i, (w, b) in enumerate(zip(kernels, self.biases, strict=True)):
            x = x @ w + b
            x = np.maximum(x, 0) if i < 2 else x
            found.append(x)
        return found

    def errors(self):
        """Cross-entropy of every example, and its derivative by every layer's outputs, by hand."""
        *inputs, logits = self.inputs(self.kernels, self.x)
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        losses = -np.log(shares[np.arange(len(self.y)), self.y])
        slopes = [shares - np.eye(10)[self.y]]
        for i in (2, 1):
            slopes.insert(0, (slopes[0] @ self.kernels[i].T) * (inputs[i] > 0))
        return losses, inputs, slopes


@pytest.fixture(scope="module")
def trained(written, data_cache):
    return Trained(written, data_cache)


def rows_of(place):
    with open(place, newline="") as file:
        return list(csv.DictReader(file))


def removed(scores, sparsity):
    """Positions of the smallest entries, as many as the sparsity requires."""
    order = np.argsort(np.abs(scores).ravel(), kind="stable")
    gone = np.zeros(scores.size, bool)
    gone[order[: round(sparsity * scores.size)]] = True
    return gone.reshape(scores.shape)


def test_curves_are_those_of_pruned_networks_and_of_gradients_by_hand(written, trained):
    folder, config = written
    rows = {(row["leaf"], float(row["sparsity"])): row for row in rows_of(folder / "sensitivity.csv")}
    assert set(rows) == {(leaf, s) for leaf in LEAVES for s in config["sparsities"]}
    losses, inputs, slopes = trained.errors()
    for (leaf, sparsity), row in rows.items():
        i = LEAVES.index(leaf)
        gone = removed(trained.kernels[i], sparsity)
        assert int(row["entries"]) == gone.size
        np.testing.assert_allclose(float(row["base"]), losses.mean(), rtol=1e-5)
        kernels = [np.where(gone, 0, w) if j == i else w for j, w in enumerate(trained.kernels)]
        logits = trained.inputs(kernels, trained.x)[-1]
        own = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), trained.y]
        np.testing.assert_allclose(float(row["loss"]), own.mean(), rtol=1e-5)
        # What an example's loss loses to first order with the weights that go: h' (W * gone) dL/dz.
        p = np.einsum("ni,io,no->n", inputs[i], np.where(gone, trained.kernels[i], 0), slopes[i])
        estimate = np.mean(losses - p + p**2 / 2)
        np.testing.assert_allclose(float(row["estimated_loss"]), estimate, rtol=1e-4)


def test_the_correlation_is_that_of_the_columns(written):
    folder, config = written
    rows = rows_of(folder / "sensitivity.csv")
    report = json.loads((folder / "prune_report.json").read_text())
    found = report["rank_correlation"]

    def spearman(rows):
        columns = [[float(row[name]) for row in rows] for name in ("loss", "estimated_loss")]
        return stats.spearmanr(*columns).statistic

    assert found["overall"] == pytest.approx(spearman(rows), abs=1e-12)
    assert len(found["leaves"]) == len(config["sparsities"])
    for sparsity, got in zip(config["sparsities"], found["leaves"], strict=True):
        alone = [row for row in rows if float(row["sparsity"]) == sparsity]
        assert got == pytest.approx(spearman(alone), abs=1e-12)
    for row in rows:
        place = report["sparsities"].index(float(row["sparsity"]))
        assert report["true"][row["leaf"]][place] == float(row["loss"])
        assert report["estimated"][row["leaf"]][place] == float(row["estimated_loss"])


def test_masks_of_every_method(written):
    folder, _ = written
    rows = rows_of(folder / "masks.csv")
    methods = {row["method"] for row in rows}
    theirs = {"uniform", "erk", "global", "lamp", "sensitivity", "fisher", "wanda"}
    assert methods == theirs | {"sparsegpt", "sparsegpt by sensitivity"}
    for method in methods:
        mine = [row for row in rows if row["method"] == method]
        assert [row["leaf"] for row in mine] == LEAVES
        zeros = 1 - sum(int(row["kept"]) for row in mine) / sum(int(row["entries"]) for row in mine)
        assert abs(zeros - 0.8) < 0.02
        assert len({row["accuracy"] for row in mine}) == 1
        for row in mine:
            # An input that nothing reads is both an empty one of the mask and an unread one of the network.
            assert (row["unread"], row["unfed"]) == (row["empty_inputs"], row["empty_outputs"])


@pytest.mark.parametrize("method", ["uniform", "global", "wanda"])
def test_accuracy_and_dead_units_are_those_of_the_network_pruned_by_hand(written, trained, method):
    folder, _ = written
    kernels = trained.kernels
    if method == "uniform":
        gone = [removed(w, 0.8) for w in kernels]
    elif method == "global":
        every = removed(np.concatenate([w.ravel() for w in kernels]), 0.8)
        parts = np.split(every, np.cumsum([w.size for w in kernels])[:-1])
        gone = [part.reshape(w.shape) for part, w in zip(parts, kernels, strict=True)]
    else:
        norms = [np.linalg.norm(x, axis=0) for x in trained.inputs(kernels, trained.x)[:3]]
        scores = [w * norm[:, None] for w, norm in zip(kernels, norms, strict=True)]
        gone = [np.stack([removed(column, 0.8) for column in s.T], 1) for s in scores]
    pruned = [np.where(g, 0, w) for w, g in zip(kernels, gone, strict=True)]
    right = trained.inputs(pruned, trained.test_x)[-1].argmax(1) == trained.test_y
    read = trained.inputs(pruned, trained.x)
    rows = [row for row in rows_of(folder / "masks.csv") if row["method"] == method]
    assert any(int(row["silent"]) + int(row["unread"]) + int(row["unfed"]) for row in rows)
    for i, row in enumerate(rows):
        kept = ~gone[i]
        assert float(row["accuracy"]) == pytest.approx(right.mean(), abs=1e-12)
        assert (int(row["entries"]), int(row["kept"])) == (kept.size, kept.sum())
        assert (int(row["fewest"]), int(row["most"])) == (kept.sum(0).min(), kept.sum(0).max())
        assert int(row["silent"]) == (np.abs(read[i]).max(0) == 0).sum()
        assert int(row["unread"]) == (~kept.any(1)).sum()
        assert int(row["unfed"]) == (~kept.any(0)).sum()


@pytest.mark.parametrize(("name", "height"), [("sensitivity.png", 4.5), ("masks.png", 0.5 + 0.5 * 9)])
def test_pictures(written, name, height):
    """Their size in pixels, and something in the color of every leaf."""
    content = (written[0] / name).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (880, round(110 * height))
    pixels = np.round(image.imread(io.BytesIO(content))[..., :3] * 255).reshape(-1, 3)
    for i in range(len(LEAVES)):
        color = np.round(np.array(colors.to_rgb(f"C{i}")) * 255)
        assert (pixels == color).all(1).sum() > 100
