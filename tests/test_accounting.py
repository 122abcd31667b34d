"""The accounts of the suite: workers that fit, names that are public, and a bill that adds up."""

import os
import subprocess
import sys

import pytest

from compressjax import coding
from tests import accounting
from tests.conftest import public, pytest_collection_modifyitems
from tests.style.source import ROOT


def test_workers_fit_into_the_free_memory():
    assert [accounting.fitting(4, free) for free in (float("inf"), 11e9, 6e9, 1e9)] == [4, 4, 2, 1]
    assert accounting.free_memory() > accounting.resident() // 10
    assert accounting.peak() > 0.9 * accounting.resident() > 1e7  # the kernel counts pages in batches


def test_names_of_folders_and_of_what_they_export_are_public():
    assert coding.dumps.__module__ == "compressjax.coding._file"
    names = ("compressjax.coding", "compressjax.coding._file.dumps", "compressjax.coding._bits.Reader.read")
    assert [public(name) for name in names] == [True, True, False]


def test_a_run_with_a_worker_ends_with_the_bill(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from tests import accounting\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(accounting.Accounts(config))\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import pytest, time\n\n"
        "def test_long():\n    end = time.process_time() + 0.3\n    while time.process_time() < end: pass\n\n"
        "@pytest.mark.mutant\n@pytest.mark.parametrize('killed', [True, False])\n"
        "def test_mutant(killed):\n    assert killed\n"
    )
    arguments = ["-p", "xdist", "-n1", "-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "mutants killed: 1 of 2" in done.stdout, done.stdout
    first, *_ = done.stdout.split("accounts")[1].splitlines()[1:]
    assert float(first.split()[0]) >= 0.2
    assert first.endswith("::test_long")
    assert "gw0 0." in done.stdout


def test_what_is_shared_serves_so_many_times():
    made = iter("abc")
    get = accounting.shared(lambda: next(made), uses=2)
    assert [get() for _ in range(5)] == ["a", "a", "b", "b", "c"]


class Case:
    """As much of a collected test as the choice of cases reads."""

    def __init__(self, nodeid, **markers):
        self.nodeid, self.markers = nodeid, markers

    def get_closest_marker(self, name):
        return self.markers.get(name)

    def add_marker(self, name):
        self.markers[name] = True


def test_of_cases_that_take_turns_every_nth_runs():
    turns = pytest.mark.turns(2).mark
    cases = [Case("it[0]", turns=turns), Case("it[1]", turns=turns, thorough=True), Case("it[2]", turns=turns),
             Case("it[3]", turns=turns), Case("other"), Case("another[0]", turns=turns)]  # fmt: skip
    pytest_collection_modifyitems(cases)
    assert [case.nodeid for case in cases if "thorough" not in case.markers] == [
        "it[0]",
        "it[3]",
        "other",
        "another[0]",
    ]
