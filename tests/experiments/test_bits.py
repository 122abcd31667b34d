"""Bits under a budget: the study runs end to end, and keeps its budgets."""

import pytest

from configs import bits_fashion_mnist
from experiments import app
from experiments.reproduce import bits, grid

pytestmark = pytest.mark.loose


@pytest.mark.thorough
def test_runs_and_keeps_its_budgets(data_cache, tmp_path):
    config = bits_fashion_mnist.get_config("smoke").to_dict()
    config["model"] = {"name": "mlp", "settings": {"widths": (16,)}}
    config |= {"options": config["options"][:3], "budgets": (3.0, 3.9), "asked": ()}
    grid.reproduce(app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1)))
    lines = (tmp_path / "table.md").read_text().splitlines()
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in lines if line.startswith("| ")}
    assert set(bits.settings(config)) <= set(rows)
    for rule in bits.RULES:
        assert float(rows[f"{rule}, 3 bits"][1]) <= 3.0
        assert float(rows[f"{rule}, 3.9 bits"][1]) <= 3.9
        assert float(rows[f"{rule}, 3 bits"][1]) >= float(rows["int2 everywhere"][1])
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
