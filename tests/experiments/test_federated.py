"""Federated averaging: the study runs end to end, with the bytes of its messages, and names bad settings."""

import pytest

from configs import federated as config_file
from experiments import app
from experiments.reproduce import federated, grid

pytestmark = pytest.mark.loose


@pytest.fixture
def launch(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    return app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1))


@pytest.mark.thorough
def test_runs_and_counts_bytes(launch, tmp_path):
    grid.reproduce(launch)
    text = (tmp_path / "table.md").read_text()
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in text.splitlines() if line.startswith("| ")}
    assert set(federated.settings(launch.config)) <= set(rows)
    assert float(rows["dense"][1]) == pytest.approx(4 * (64 * 16 + 16 + 16 * 10 + 10) / 1000, abs=0.01)
    entries = 3 * (round(64 * 16 * 0.05) + round(160 * 0.05)) + 2 * 4 + 4 * 26  # two kernels, and biases as they are
    assert float(rows["top-k int8"][1]) == pytest.approx(entries / 1000, abs=0.01)


def test_bad_settings_are_named(launch):
    with pytest.raises(ValueError, match=r"--config.rounds=2 must be a multiple of every=2, and at least tail=5"):
        federated.prepare(launch._replace(config={**launch.config, "every": 2, "tail": 5}))
    bad = {**launch.config, "methods": (("dense", {"algorithm": ("fed_sgd", {})}),)}
    with pytest.raises(ValueError, match="dense names 'fed_sgd'; choose one of fed_avg"):
        federated.prepare(launch._replace(config=bad))
    bad = {**launch.config, "methods": (("dense", {"algorithm": ("fed_avg", {"local": 0.1}), "up": ("zip", {})}),)}
    with pytest.raises(ValueError, match="dense names 'zip', which is no compressor"):
        federated.prepare(launch._replace(config=bad))
