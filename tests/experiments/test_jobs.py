"""Children get the flags that are not their parent's own, and a chance to save."""

import random
import signal
import subprocess
import sys
import textwrap

import pytest

from experiments import jobs, kill
from tests.experiments.test_stopping import ROOT

PARENT = """
    import subprocess, sys
    from experiments import jobs, stopping

    stopping.install()
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
    try:
        jobs.wait(child)
    except KeyboardInterrupt:
        stopping.leave(f"child {child.returncode}")
"""
CHILD = """
import signal, sys, time
def save(*_):
    time.sleep(0.3)
    print("saved", flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(30)
"""


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        (["--config=a", "--workdir=b", "--count=3"], ["--config=a"]),
        (["--workdir", "b", "--config", "a"], ["--config", "a"]),
        (["-workdir=b", "--set=workdir=1"], ["--set=workdir=1"]),
    ],
)
def test_passed_flags(monkeypatch, typed, left):
    monkeypatch.setattr(sys, "argv", ["program", *typed])
    assert jobs.passed("workdir", "count") == left


def test_the_same_job_in_another_folder(monkeypatch):
    started = []
    monkeypatch.setattr(jobs, "start", lambda *flags, **options: started.append((flags, options)))
    monkeypatch.setattr(sys, "argv", ["program", "--config=a", "--workdir=b", "--cache=c", "--kills", "3"])
    jobs.again("d", "--cache=e", own=("kills", "kill_seed"))
    assert started == [(("--config=a", "--workdir=d", "--cache=e"), {"stdout": subprocess.DEVNULL})]


def test_a_parent_that_is_told_to_stop_waits_for_what_its_child_saves():
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), CHILD],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        said, wrong = process.communicate(timeout=60)
    assert (said, wrong.strip(), process.returncode) == ("saved\n", "child 7", 143)


def test_differing_files_are_named(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in jobs.COMPARED:
            (tmp_path / folder / name).write_text("x")
    assert jobs.differing(str(tmp_path / "a"), str(tmp_path / "b")) == []
    (tmp_path / "b" / "metrics.jsonl").write_text("y")
    assert jobs.differing(str(tmp_path / "a"), str(tmp_path / "b")) == ["metrics.jsonl"]


def test_a_run_of_several_processes_shares_an_address(monkeypatch):
    started = []
    monkeypatch.setattr(jobs, "start", lambda *flags, **options: started.append(flags))
    monkeypatch.setattr(sys, "argv", ["program", "--config=a", "--kills=3"])
    jobs.together("d", 1, own=("kills",))
    jobs.together("d", 2, own=("kills",))
    assert started[0] == ("--config=a", "--workdir=d")
    addresses = {flag for flags in started[1:] for flag in flags if flag.startswith("--coordinator=localhost:")}
    assert len(addresses) == 1
    assert [flags[-2:] for flags in started[1:]] == [("--processes=2", f"--process={k}") for k in (0, 1)]


def test_those_that_stay_are_ended():
    quick = subprocess.Popen([sys.executable, "-S", "-c", ""])
    slow = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    quick.wait()
    assert jobs.end([quick, slow], 0.1) == 1
    assert slow.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("which", "numbers"), [("any", {0, 1, 2}), ("coordinator", {0}), ("worker", {1, 2})])
def test_the_victim(which, numbers):
    draw = random.Random(0)
    assert {kill.victim(draw, which, 3) for _ in range(40)} == numbers
