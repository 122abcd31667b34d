"""Trackers by name, whose packages are imported when they are asked for."""

import builtins
import importlib.util
import json
import sys

import pytest

from experiments import trackers
from experiments.writers import Writers


@pytest.mark.parametrize(
    ("names", "said"),
    [(["jsonl", "mlflow"], "no 'mlflow'; choose from jsonl, tensorboard, wandb"), (["jsonl", "jsonl"], "twice")],
)
def test_names_are_checked(names, said):
    with pytest.raises(ValueError, match=f"--trackers={','.join(names)}.*{said}"):
        trackers.check(names)


def test_lines_alone_need_no_package(tmp_path, monkeypatch):
    plain = builtins.__import__

    def refusing(name, *args, **options):
        if name.partition(".")[0] in ("tensorboardX", "wandb"):
            raise ImportError(name)
        return plain(name, *args, **options)

    for name in [name for name in sys.modules if name.partition(".")[0] in ("tensorboardX", "wandb")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refusing)
    with Writers(str(tmp_path), ["jsonl"]) as writers:
        writers.begin("a", [])
        writers.add("a", 3, {"loss": 0.5})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"stage": "a", "step": 3, "loss": 0.5}


def test_an_absent_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match="wandb needs the package wandb .*pip install wandb, or leave it out"):
        Writers(str(tmp_path), ["wandb"])


class Run:
    """What `wandb.init` gives, as far as it is used."""

    def __init__(self):
        self.logged, self.summary, self.ended = [], {}, False

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.ended = True


def test_weights_and_biases_gets_steps_over_all_stages(tmp_path, monkeypatch):
    run, asked = Run(), []
    package = type(sys)("wandb")
    package.init = lambda **options: asked.append(options) or run
    monkeypatch.setitem(sys.modules, "wandb", package)
    with Writers(str(tmp_path), ["wandb"]) as writers:
        writers.begin("a", [])
        writers.end("a", 40, {"accuracy": 0.5, "notes": ["x"]})
        writers.add("b", 3, {"loss": 0.25})
    assert asked[0]["dir"] == str(tmp_path)
    assert run.logged == [(43, {"train/loss": 0.25})]
    assert run.summary == {"a/accuracy": 0.5}
    assert run.ended


@pytest.mark.thorough
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_weights_and_biases_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    with Writers(str(tmp_path), ["wandb"]) as writers:
        writers.add("a", 1, {"loss": 0.5})
    assert list(tmp_path.glob("wandb/offline-run-*"))
