"""The report has the same numbers in every form."""

import copy

import pytest
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
