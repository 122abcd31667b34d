"""Compressed gradients: the study runs end to end on four devices, with the bytes of the formulas."""

import pytest

from configs import compressed_gradients as config_file
from experiments import app
from experiments.reproduce import exchanged, grid

pytestmark = pytest.mark.loose


@pytest.mark.thorough
def test_runs_and_reads_bytes(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    launch = app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(4))
    grid.reproduce(launch)
    text = (tmp_path / "table.md").read_text()
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in text.splitlines() if line.startswith("| ")}
    assert set(exchanged.settings(config)) <= set(rows)
    whole = 64 * 16 + 16 + 16 * 10 + 10
    assert float(rows["dense"][1]) == pytest.approx(2 * 4 * whole * 3 / 4 / 1000, abs=0.01)
    thin = 2 * (64 + 16) + 2 * (16 + 10) + 26  # two kernels, and biases as they are
    assert float(rows["power 2"][1]) == pytest.approx(2 * 4 * thin * 3 / 4 / 1000, abs=0.01)


def test_one_device_and_uneven_batches_are_named(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    launch = app.Launch(config, str(tmp_path), "", data_cache, app.make_mesh(1))
    with pytest.raises(ValueError, match="there is 1 device, and nothing to exchange"):
        exchanged.prepare(launch)
    uneven = launch._replace(config={**config, "batch": 18}, mesh=app.make_mesh(4))
    with pytest.raises(ValueError, match="batch=18 must be a multiple of the 4 devices"):
        exchanged.prepare(uneven)
