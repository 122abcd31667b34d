"""Means and ranges over seeds."""

import copy

import pytest
from absl import flags

from experiments import jobs
from experiments.seeds import MAIN, summary, table

REPORT = {
    "ratio": 40.0,
    "file_bytes": 1000,
    "accuracy": {"dense": 0.9, "compressed": 0.89, "changed_predictions": 7},
    "speedup": {"1": {"value": 1.0}, "256": {"value": 2.0}},
    "machine": "a machine",
    "versions": {"jax": "1"},
    "certificate": {"bound": 0.25},
}


def test_summary_by_hand():
    other = copy.deepcopy(REPORT)
    other["accuracy"]["compressed"] = 0.87
    found = summary([REPORT, other])
    assert found["difference, points"]["mean"] == pytest.approx(2.0)
    assert (found["difference, points"]["low"], found["difference, points"]["high"]) == pytest.approx((1.0, 3.0))


def test_table_has_a_column_a_seed():
    text = table([REPORT, REPORT], ["0", "7"])
    assert text.splitlines()[0] == "| | mean | seed 0 | seed 7 |"
    assert "| ratio | 40.0x | 40.0x | 40.0x |" in text
    assert "| bound on the error, % | 25.00 | 25.00 | 25.00 |" in text
    assert text.strip().endswith("a machine; jax 1")
    assert "bound" not in table([REPORT, {**REPORT, "certificate": {"refused": "no"}}], ["0", "7"])


def test_terms_of_certificates_are_known_and_passed_on(monkeypatch):
    defined = flags.FLAGS.flags_by_module_dict()[MAIN.__module__]
    assert {"iid", "tried"} <= {flag.name for flag in defined}
    monkeypatch.setattr("sys.argv", ["seeds", "--tried=4", "--noiid", "--seeds", "0,1", "--workdir=x"])
    assert jobs.passed("seeds", "workdir") == ["--tried=4", "--noiid"]
