"""The report has the same numbers in every form."""

import copy

import numpy as np
import pytest
import scipy.stats
from rich.console import Console

from experiments import report
from experiments.report.build import recovery
from experiments.report.html import plot_leaves, plot_stages

LEAF = {
    "path": "a|b/kernel",
    "shape": [2, 3],
    "method": "Masked(Codebook)",
    "bits_per_weight": 4.0,
    "float32_bytes": 24,
    "packed_bytes": 5,
    "file_bytes": 3,
    "sqnr_db": None,
    "execution": "materialized",
    "reason": "dot_general: <masks>",
}
REST = {**LEAF, "path": "(header)", "shape": None, "method": "overhead", "bits_per_weight": None, "float32_bytes": 0}
STAGE = {"accuracy": 0.9, "density": 1.0, "packed_bytes": 24, "file_bytes": 24, "float32_bytes": 24, "stage": "teacher"}
REPORT = {
    "name": "digits, mlp",
    "command": "python -m x <y>",
    "versions": {"jax": "1"},
    "machine": "m",
    "float32_bytes": 24,
    "file_bytes": 6,
    "ratio": 4.0,
    "accuracy": {
        "dense": 0.9,
        "compressed": 0.85,
        "interval": {"dense": [0.8, 0.95], "compressed": [0.7, 0.9]},
        "examples": 100,
        "changed_predictions": 6,
        "difference": {"value": -0.05, "low": -0.1, "high": 0.01},
        "recovery": {
            "before": {"accuracy": 0.8, "changed_predictions": 9},
            "after": {"accuracy": 0.85, "changed_predictions": 6},
        },
    },
    "latency_ms": {"dense": {"1": 0.2}, "compressed": {"1": 0.1}},
    "speedup": {"1": {"value": 2.0, "low": 1.9, "high": 2.1}},
    "memory_bytes": {"dense": 1000, "compressed": 500, "process_peak": 1},
    "stages": [STAGE, {**STAGE, "stage": "prune", "file_bytes": 12, "changed_predictions": 2}],
    "leaves": [LEAF, REST],
    "reload": {"same_predictions_as_before_saving": True},
    "certificate": report.certificate(6, {"errors": 30, "examples": 600, "fingerprint": "a"}, "a", 10, report.Terms()),
}
NUMBERS = ("4.0x smaller", "90.00 %", "85.00 %", "70.00 – 90.00 %", "2.00x", "before recovery")


def test_markdown_and_html_say_the_numbers():
    markdown, page = report.as_markdown(REPORT), report.page(REPORT)
    for words in NUMBERS:
        assert words in markdown
        assert words in page
    assert "a\\|b/kernel" in markdown
    assert "&lt;masks&gt;" in page
    assert "<masks>" not in page


def test_terminal_says_the_numbers(capsys):
    report.show(REPORT, Console(width=200))
    out = capsys.readouterr().out
    for words in NUMBERS[:5]:
        assert words in out


def test_a_changed_prediction_is_confessed():
    changed = copy.deepcopy(REPORT)
    changed["reload"]["same_predictions_as_before_saving"] = False
    assert "NOT the same" in report.as_markdown(changed)


def test_the_certificate_is_that_of_the_length_and_says_what_it_assumes():
    """The tail of SciPy, whose chance is the confidence times the prior of the file."""
    bits = 48 + 2 * np.log2(48)
    bound = REPORT["certificate"]["bound"]
    assert scipy.stats.binom.logcdf(30, 600, bound) == pytest.approx(np.log(0.05) - bits * np.log(2), abs=1e-3)
    text = report.as_markdown(REPORT)
    assert f"at most {100 * bound:.2f} %" in text
    assert "Assumes: the 600 rows and the new ones are independent draws" in text


def test_no_theorem_is_named():
    training = {"errors": 3, "examples": 600, "fingerprint": "a"}
    for asked, said in (
        ((training, "a", 10, report.Terms(iid=False)), "no bound holds"),
        (({**training, "fingerprint": "b"}, "a", 10, report.Terms()), "trained on 'a' and its errors were counted"),
    ):
        found = report.certificate(6, *asked)
        assert said in report.as_markdown({**REPORT, "certificate": found})
    assert report.certificate(6000, training, "a", 10, report.Terms())["says"].startswith("nothing")


@pytest.mark.parametrize("plot", [plot_stages, plot_leaves])
def test_plots_are_png_and_repeat(plot):
    image = plot(REPORT)
    assert image.startswith(b"\x89PNG")
    assert plot(REPORT) == image


def test_recovery_compares_the_stage_before():
    stages = {
        "share": {"accuracy": 0.8, "correct": 8, "changed_predictions": 3},
        "any label": {"accuracy": 0.9, "correct": 9, "changed_predictions": 1},
    }
    found = recovery(stages, {"share": "train", "any label": "distill"})
    assert found["before"]["changed_predictions"] == 3
    assert found["after"]["accuracy"] == 0.9
    assert recovery({"first": {}, "distill": {}}, {"first": "train", "distill": "train"}) is None
