"""Shared parts of launchers: exit codes and command lines."""

import copy
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from experiments import app, stopping

INTERRUPTED = """
import jax
import jax.numpy as jnp
from experiments import app

def main():
    busy = jax.jit(lambda x: jax.lax.fori_loop(0, 2_000_000_000, lambda i, x: jnp.tanh(x @ x), x))
    busy(jnp.ones((300, 300)))
    raise KeyboardInterrupt

app.simple(main)
"""


def test_interrupted_while_the_device_computes_it_ends_with_one_line():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == stopping.STATUS[signal.SIGINT]
    assert done.stderr.count("\n") == 2
    assert "To resume: python" in done.stderr


@pytest.mark.parametrize("module", ["experiments.reproduce", "experiments.reproduce.__main__"])
def test_the_command_is_as_one_would_type_it(monkeypatch, module):
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", SimpleNamespace(name=module))
    monkeypatch.setattr(sys, "argv", ["anything", "--workdir=a folder"])
    assert app.command() == "python -m experiments.reproduce '--workdir=a folder'"


CONFIG = {
    "stages": (("train", {"label": "teacher", "epochs": 1.0}), ("prune.gradual", {"end": 0.5, "train": {"soft": 0.5}})),
    "methods": (("snip", ("prune.one_shot", {"saliency": ("saliency.snip", {"batches": {"n": 8}})})),),
}


@pytest.mark.parametrize(
    ("text", "get", "value"),
    [
        ("teacher.epochs=2.0", lambda c: c["stages"][0][1]["epochs"], 2.0),
        ("gradual.train.soft=0.9", lambda c: c["stages"][1][1]["train"]["soft"], 0.9),
        ("gradual.distribution=erk", lambda c: c["stages"][1][1]["distribution"], "erk"),
        ("gradual.select=.*kernel=1", lambda c: c["stages"][1][1]["select"], ".*kernel=1"),
        (
            "snip.saliency.batches.examples=16",
            lambda c: c["methods"][0][1][1]["saliency"][1]["batches"]["examples"],
            16,
        ),
    ],
)
def test_one_setting_is_changed_by_the_label_of_its_stage(text, get, value):
    config = copy.deepcopy(CONFIG)
    app.override(config, text)
    assert get(config) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prune.end=1", "no 'prune'.*teacher, gradual, snip"),
        ("gradual=1", "LABEL.SETTING"),
        ("gradual.end.x=1", "'end' has"),
    ],
)
def test_a_setting_that_has_no_place_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        app.override(copy.deepcopy(CONFIG), text)


FLAGS = {
    "_CONFIG": SimpleNamespace(to_dict=dict), "_WORKDIR": "w", "_SET": [], "_CACHE": "", "_DATA_CACHE": "",
    "_TRACKERS": ["jsonl"], "_DEVICES": 2, "_MESH": "", "_PARALLEL": "jit", "_PROFILE": "",
}  # fmt: skip


@pytest.mark.parametrize(("flag", "value"), [("_MESH", "data:2"), ("_PARALLEL", "pmap"), ("_PROFILE", "traces")])
def test_flags_that_a_command_does_not_follow_are_refused(monkeypatch, flag, value):
    for name, default in {**FLAGS, flag: value}.items():
        monkeypatch.setattr(app, name, SimpleNamespace(value=default))
    monkeypatch.setattr(app.cluster, "asked", lambda: False)
    launch = app.launched(spreads=True)
    assert launch.mesh.size == 2
    with pytest.raises(ValueError, match="flags of experiments.compress; remove them here"):
        app.launched()
    monkeypatch.setattr(app.cluster, "asked", lambda: True)
    with pytest.raises(ValueError, match="--coordinator, --processes and --process are flags of experiments.compress"):
        app.launched(spreads=True)


def test_a_run_makes_the_folder_that_it_writes_to(tmp_path):
    app.write(str(tmp_path / "a" / "b"), {"x.md": "text"})
    assert (tmp_path / "a" / "b" / "x.md").read_text() == "text"
