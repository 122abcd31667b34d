"""Metrics on disk depend on the recipe, not on interruptions."""

import json

from compressjax.recipe import Finished, Stage, Stored
from experiments.view import View, before_after, make_console
from experiments.writers import Writers


def test_a_resumed_file_equals_a_whole_one(tmp_path):
    records = [{"step": 10 * i, "loss": 1.0 / i} for i in range(1, 5)]
    with Writers(str(tmp_path)) as writers:
        writers.begin("a", [])
        for record in records:
            writers.add("a", record["step"], {"loss": record["loss"]})
        writers.end("a", 40, {"accuracy": 0.5, "notes": ["x"], "cached": True})
    whole = (tmp_path / "metrics.jsonl").read_text()
    with Writers(str(tmp_path)) as writers:  # stopped after the second record
        writers.begin("a", records[:2])
        for record in records[2:]:
            writers.add("a", record["step"], {"loss": record["loss"]})
        writers.end("a", 40, {"accuracy": 0.5, "notes": ["x"], "cached": True})
    assert (tmp_path / "metrics.jsonl").read_text() == whole
    assert [json.loads(line)["stage"] for line in whole.splitlines()] == ["a"] * 5
    assert json.loads(whole.splitlines()[-1]) == {"stage": "a", "event": "end", "accuracy": 0.5}


def test_view_shows_before_and_after(capsys):
    stage = Stage("share", {}, None, None)
    view = View(make_console())
    for accuracy in (0.9, 0.85):
        view.show(Finished(stage, Stored({}, {"accuracy": accuracy, "notes": ["a note"]}), [], False))
    out = capsys.readouterr().out
    assert "90.00 %" in out
    assert "85.00 %" in out
    assert "a note" in out


def test_before_after_has_a_row_for_what_is_known():
    table = before_after("x", {}, {"accuracy": 0.5, "file_bytes": 12}, cached=False)
    assert table.row_count == 2
