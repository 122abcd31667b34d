"""The accounts of the suite: workers that fit, names that are public, and a bill that adds up."""

import os
import subprocess
import sys

from compressjax import coding
from tests import accounting
from tests.conftest import public
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
        "def test_long():\n    end = time.process_time() + 0.2\n    while time.process_time() < end: pass\n\n"
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
