"""Flags of several processes, and a coordinator that does not answer."""

import socket
import subprocess
import sys

import pytest

from experiments import cluster
from tests.experiments.test_stopping import ROOT


@pytest.mark.parametrize(
    ("address", "count", "mine", "said"),
    [
        ("", 2, 0, "need --coordinator=HOST:PORT"),
        ("localhost", 2, 0, "--coordinator=localhost is not HOST:PORT"),
        ("cluster", 2, 0, "--coordinator=cluster is not HOST:PORT"),
        ("localhost:1", 2, 2, "--processes=2 and --process=2: .*from 0 to 1"),
        ("localhost:1", 0, 0, "--processes=0"),
    ],
)
def test_flags_that_do_not_fit(address, count, mine, said):
    with pytest.raises(ValueError, match=said):
        cluster.check(address, count, mine, 1)


def test_flags_that_fit():
    cluster.check("cluster", 0, -1, 300)
    cluster.check("10.0.0.1:1234", 2, 1, 300)
    cluster.check("[::1]:1234", 1, 0, 300)


def test_what_is_said_names_the_address():
    assert "10.0.0.1:1234: not all of the other 3 processes" in cluster.missed("10.0.0.1:1234", 0, 4, 60)
    assert "10.0.0.1:1234 did not answer within 60 s" in cluster.missed("10.0.0.1:1234", 1, 4, 60)


@pytest.mark.thorough
def test_a_coordinator_that_does_not_answer_is_named(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    flags = [f"--coordinator={address}", "--processes=2", "--process=1", "--coordinator_timeout=2"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.compress", "--config=tests/experiments/tiny.py", f"--workdir={tmp_path}/w",
         *flags],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"--coordinator={address} did not answer within 2 s" in done.stderr
