"""The harness on made-up cases, and every study end to end in its smoke form."""

import json

import ml_collections
import numpy as np
import pytest

from configs import bench_int8
from experiments.bench import harness, table
from experiments.bench import machine as machine_facts

TIMING = {"warmup": 0, "rounds": 3, "inner": 1, "resamples": 10}


def case(name: str = "a case", **changes) -> harness.Case:
    values = {"contenders": {"base": lambda: 0, "ours": lambda: 1}, "facts": {"error": 0.25}, **changes}
    return harness.Case(name, **values)


def test_rows_hold_the_baseline_first_and_the_skipped_last():
    found = harness.rows(case(skipped={"peer": "not installed"}, work=10.0), TIMING)
    assert [row["contender"] for row in found] == ["base", "ours", "peer"]
    assert found[0]["ratio"] == found[0]["ratio_low"] == 1.0
    assert found[1]["ratio"] == pytest.approx(found[0]["median_ms"] / found[1]["median_ms"])
    assert found[1]["rate"] == pytest.approx(10.0 / found[1]["median_ms"] * 1e3)
    assert found[2] == {"case": "a case", "contender": "peer", "skipped": "not installed"}


ROWS = [
    {"case": "small", "contender": "ours", "ratio": 2.0},
    {"case": "large", "contender": "ours", "ratio": 5.0},
    {"case": "large", "contender": "peer", "skipped": "not installed"},
]


def test_bars_are_met_or_missed_per_case():
    checked = harness.bars([(".*", "ours", "ratio", ">=", 4.0)], ROWS, {})
    assert [(bar["case"], bar["met"]) for bar in checked] == [("small", False), ("large", True)]
    checked = harness.bars([("large", "ours", "ratio", "<=", 5.0)], ROWS, {})
    assert [bar["met"] for bar in checked] == [True]


def test_means_are_geometric():
    found = harness.means(ROWS)
    assert found == {"geometric mean of ours": pytest.approx(10**0.5)}
    assert harness.bars([("all cases", "", *found, ">=", 3.0)], ROWS, {"all cases": found})[0]["met"]


def test_bars_speak_of_facts_too():
    facts = {"small": {"error": 0.1}, "large": {"error": 0.3}}
    checked = harness.bars([(".*", "", "error", "<=", 0.2)], ROWS, facts)
    assert [(bar["case"], bar["met"]) for bar in checked] == [("small", True), ("large", False)]


@pytest.mark.parametrize(
    ("bar", "message"),
    [
        (("tiny", "ours", "ratio", ">=", 1.0), "tiny"),
        (("large", "peer", "ratio", ">=", 1.0), "no case"),
        (("large", "ours", "ratio", ">", 1.0), "relation"),
    ],
)
def test_a_bar_on_nothing_is_refused(bar, message):
    with pytest.raises(ValueError, match=message):
        harness.bars([bar], ROWS, {})


def test_an_unknown_study_names_the_known_ones():
    with pytest.raises(ValueError, match="int8"):
        harness.study("int9")


def test_a_report_grows_case_by_case(monkeypatch):
    cases = [case("first"), case("second")]
    monkeypatch.setattr(harness, "study", lambda name: lambda config: iter(cases))
    config = ml_collections.ConfigDict(
        {"study": "made up", "timing": TIMING, "bars": (("first", "", "error", "<=", 1),)}
    )
    sizes = [(len(report["rows"]), report["complete"]) for report in harness.run(config)]
    assert sizes == [(2, False), (4, False), (4, True)]


def report(**changes):
    base = {
        "machine": {"processor": "P", "cores": 2, "instructions": ["avx2"], "versions": {"jax": "1"}, "python": "3"},
        "rows": [
            {"case": "c", "contender": "base", "median_ms": 2.0, "ratio": 1.0, "ratio_low": 1.0, "ratio_high": 1.0},
            {"case": "c", "contender": "ours", "median_ms": 0.5, "ratio": 4.0, "ratio_low": 3.5, "ratio_high": 4.5},
            {"case": "c", "contender": "peer", "skipped": "peer is not installed; run: pip install peer"},
        ],
        "facts": {"c": {"error": 0.125}},
        "bars": [{"case": "c", "contender": "ours", "quantity": "ratio", "bar": ">= 5", "value": 4.0, "met": False}],
    }
    return {**base, **changes}


def test_the_table_shows_medians_intervals_facts_skips_and_missed_bars():
    text = table.render(report())
    for part in ("P, 2 cores, avx2", "2.000 ms", "3.50 to 4.50", "error 0.125", "pip install peer", "MISSED"):
        assert part in text
    assert "MISSED" not in table.render(report(bars=[]))


def test_rates_have_units_that_fit():
    for rate, text in ((2.5e7, "25.0 M/s"), (1500.0, "1.5 k/s"), (3.0, "3.0 /s")):
        rows = [{**row, "rate": rate} for row in report()["rows"][:1]]
        assert text in table.render(report(rows=rows))


def test_instructions_are_read_from_the_flags(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor : 0\nflags\t\t: fpu avx2 avx512_vnni avx512fancy\n")
    assert machine_facts.instructions(path) == ["avx2", "avx512_vnni"]
    assert machine_facts.instructions(tmp_path / "absent") is None


def test_the_machine_is_json():
    facts = machine_facts.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["versions"]["jax"]
    assert facts["cores"] >= 1


def test_configs_of_bars_name_cases_of_the_full_study():
    """The bars of the int8 study match its shapes."""
    config = bench_int8.get_config()
    assert (4096, 4096) in config.dense.shapes
    assert {1, 64} <= set(config.dense.rows)
    assert all(shape[1] >= 64 for shape in config.convolution.shapes)


def test_timings_are_of_the_thunks_themselves():
    """Swapping the contenders inverts the ratio: no contender is measured under another's name."""
    slow = lambda: float(np.linalg.norm(np.ones((300, 300)) @ np.ones((300, 300))))  # noqa: E731
    calls = {"slow": 0, "fast": 0}

    def counted(name, function):
        def run():
            calls[name] += 1
            return function()

        return run

    harness.rows(case(contenders={"fast": counted("fast", int), "slow": counted("slow", slow)}), TIMING)
    assert calls == {"slow": 3, "fast": 3}
