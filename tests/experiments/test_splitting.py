"""Split networks: the study runs end to end, and its operations are those of the parts."""

import pytest

from configs import splitting as config_file
from experiments import app
from experiments.reproduce import grid, splitting

pytestmark = pytest.mark.loose


@pytest.mark.thorough
def test_runs_and_counts_operations(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    launch = app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1))
    grid.reproduce(launch)
    text = (tmp_path / "table.md").read_text()
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in text.splitlines() if line.startswith("| ")}
    assert set(splitting.settings(config)) <= set(rows)
    pixels, classes = 64, 10
    whole = pixels * 16 + 2 * 16 * 16 + 16 * classes
    halves = 100 * (whole - (pixels * 16 + 2 * 16 * 16) / 2) / whole
    assert f"{halves:.2f}" in "".join(rows["learned split 2"])
    first = 100 * (pixels * 16 + 16 * classes) / whole
    last = 100 * (whole + 2 * 16 * classes) / whole
    operations = float(rows["exits"][1])
    assert first - 0.01 <= operations <= last + 0.01
