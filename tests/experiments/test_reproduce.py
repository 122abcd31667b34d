"""Grids of training runs: claims, stored cells and tickets."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from compressjax import recipe
from configs import gradual_fashion_mnist, lottery_mnist1d, quantize_fashion_mnist
from experiments.app import Launch, make_mesh
from experiments.reproduce import grid, lottery
from experiments.reproduce.loop import Data, check, train
from experiments.reproduce.table import Claim, render

pytestmark = pytest.mark.loose
ABOUT = {"machine": "a machine", "versions": {"jax": "0"}}


def launch(config, folder, cache):
    return Launch(config.to_dict(), str(folder), str(folder), cache, make_mesh(1))


def test_means_differences_and_verdicts():
    results = {
        "dense": {0: {"error": 10.0, "zeros": 0.0}, 1: {"error": 12.0, "zeros": 0.0}},
        "half": {0: {"error": 11.0, "zeros": 94.0}, 1: {"error": 12.0, "zeros": 95.0}},
    }
    claims = [
        Claim("half", "dense", None, 0.4),
        Claim("half", "dense", None, 0.6),
        Claim("half", "", 11.0, 12.0, "9.9"),
        Claim("half", "", 95.0, None, "", "zeros"),
    ]
    text = render(results, claims, ABOUT)
    assert "| half | 11.50 ± 0.71 | 94.50 ± 0.71 | +0.50 ± 0.71 |" in text
    assert "| at least 95.0 | half, zeros | 94.50 ± 0.71 | – | **missed** |" in text
    rows = [line for line in text.splitlines() if line.endswith(("met |", "missed** |"))]
    assert [row.split("|")[-2].strip() for row in rows] == ["**missed**", "met", "met", "**missed**"]
    assert "| 9.9 |" in text


def test_a_second_run_reads_what_the_first_one_trained(tmp_path, data_cache):
    config = gradual_fashion_mnist.get_config("smoke")
    grid.reproduce(launch(config, tmp_path, data_cache))
    text = (tmp_path / "table.md").read_text()
    cells = sorted(path.name for path in (tmp_path / "cells").iterdir())
    assert cells == ["dense-seed-0.json", "gradual-0.8-seed-0.json"]
    held = json.loads((tmp_path / "cells" / cells[1]).read_text())
    assert held["figures"]["zeros"] == pytest.approx(80, abs=0.1)
    figures = {"error": 1.25, "zeros": 0.0}
    (tmp_path / "cells" / cells[0]).write_text(json.dumps({"figures": figures, "sha256": recipe.digest(figures)}))
    grid.reproduce(launch(config, tmp_path, data_cache))
    assert "| dense | 1.25 |" in (tmp_path / "table.md").read_text()
    assert "| dense | 1.25 |" not in text


class Counted:
    """A study of one cell that counts how often it runs."""

    ran = 0

    def settings(self, config):
        return ["dense"]

    def prepare(self, launch):
        return None

    def run(self, shared, config, name, seed):
        Counted.ran += 1
        return {"error": 2.5}

    def claims(self, config):
        return []


@pytest.mark.parametrize("damage", [lambda text: text.replace("2.5", "2.6"), lambda text: text[:9], lambda text: "7"])
def test_a_damaged_cell_is_named_and_runs_again(tmp_path, monkeypatch, capsys, damage):
    monkeypatch.setitem(grid.STUDIES, "counted", Counted())
    config = ConfigDict({"study": "counted", "seeds": (0,)})
    Counted.ran = 0
    grid.reproduce(launch(config, tmp_path, ""))
    place = tmp_path / "cells" / "dense-seed-0.json"
    whole = place.read_text()
    place.write_text(damage(whole))
    grid.reproduce(launch(config, tmp_path, ""))
    assert f"refused: {place} is damaged" in capsys.readouterr().out.replace("\n", "")
    grid.reproduce(launch(config, tmp_path, ""))
    assert (Counted.ran, place.read_text()) == (2, whole)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "--config.steps=0 must be"),
        ({"batch": 151}, "--config.batch=151 must be .* at most 150"),
        ({"learning_rate": -1.0}, "--config.learning_rate=-1.0 must be"),
        ({"chunk": 0}, "--config.chunk=0 must be"),
    ],
)
def test_runs_without_a_step_or_a_rate_are_refused(changes, said):
    config = {**lottery_mnist1d.get_config("smoke").to_dict(), **changes}
    with pytest.raises(ValueError, match=said):
        check(config, 150)


def test_an_unknown_study_is_refused(tmp_path, data_cache):
    config = gradual_fashion_mnist.get_config("smoke")
    config.study = "nothing"
    with pytest.raises(ValueError, match=r"--config.study='nothing'.*lottery"):
        grid.reproduce(launch(config, tmp_path, data_cache))


@pytest.fixture(scope="module")
def shared():
    x = jax.random.normal(jax.random.key(0), (200, 40))
    y = (x[:, 0] > 0).astype(jnp.int32)
    return lottery.Shared(Data(x[:150], y[:150], x[150:], y[150:]), {}, {})


@pytest.mark.thorough
def test_tickets_are_nested_and_hold_the_largest_trained_weights(shared):
    config = lottery_mnist1d.get_config("smoke").to_dict()
    lottery.run(shared, config, "ticket 0.6", 0)
    wide, narrow = (found.ticket.masks for found in shared.found[0][1:])
    start = lottery.initial(jax.random.key(0), config["width"])
    trained = train(lottery.apply, start, shared.data, config, seed=0).params
    for path, mask in wide.items():
        size = np.abs(np.asarray(trained[path.split("/")[0]]["kernel"]))
        assert int(mask.sum()) == round(0.6 * size.size)
        assert size[np.asarray(mask)].min() >= size[~np.asarray(mask)].max()
        assert not np.any(np.asarray(narrow[path]) & ~np.asarray(mask))
        assert int(narrow[path].sum()) == round(0.4 * size.size)


@pytest.mark.thorough
def test_arms_differ_only_in_what_they_should(shared):
    config = lottery_mnist1d.get_config("smoke").to_dict()
    names = lottery.settings(config)
    assert names[:3] == ["dense", "ticket 0.4", "ticket 0.6"]
    errors = {name: lottery.run(shared, config, name, 0)["error"] for name in names}
    assert all(0 <= error <= 100 for error in errors.values())
    assert errors["random 0.6"] == lottery.run(shared, config, "random 0.6", 0)["error"]


def test_steps_that_do_not_divide_are_refused(shared):
    config = {**lottery_mnist1d.get_config("smoke").to_dict(), "steps": 25}
    with pytest.raises(ValueError, match=r"--config.steps=25.*--config.chunk=10"):
        lottery.run(shared, config, "dense", 1)


@pytest.mark.thorough
def test_one_trained_network_on_many_grids(tmp_path, data_cache):
    """Cells start from the same weights; figures are those of the files, and a bad setting is refused first."""
    config = quantize_fashion_mnist.get_config("smoke")
    kept = ("int4, GPTQ", "int3, LSQ", "W4A4, LSQ")
    config.methods = tuple(row for row in config.methods if row[0] in kept)
    config.trained = tuple(row for row in config.trained if row[0] in kept)
    config.asked = (("int3, LSQ", "dense", None, 100.0),)
    folder = tmp_path / "run"
    grid.reproduce(launch(config, folder, data_cache))
    results = json.loads((folder / "results.json").read_text())["results"]
    assert list(results) == ["dense", *kept]
    assert results["dense"]["0"]["bits a weight"] == 32.0
    # 32 bits a step size, for 300, 100 and 10 outputs over 64, 300 and 100 inputs.
    scales = 32 * 410 / (64 * 300 + 300 * 100 + 100 * 10)
    assert results["int4, GPTQ"]["0"]["bits a weight"] == pytest.approx(4 + scales)
    # And one step of the inputs a layer.
    assert results["W4A4, LSQ"]["0"]["bits a weight"] == pytest.approx(4 + scales + 32 * 3 / (32 * 410 / scales))
    assert results["W4A4, LSQ"]["0"]["error"] < 40  # a tenth of the classes would be 90
    assert results["int3, LSQ"]["0"]["file kB"] < results["int4, GPTQ"]["0"]["file kB"] < 40
    config.methods = (("bad", ("quant.rtn", {"bits": 9})),)
    with pytest.raises(ValueError, match="bits=9"):
        grid.reproduce(launch(config, tmp_path / "other", data_cache))
