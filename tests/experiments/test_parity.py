"""Losses are equal under other ways to train, and the table of methods is whole."""

import json

import numpy as np
import pytest
from absl import flags

from compressjax import core
from compressjax.recipe import _names
from experiments import app, parity
from experiments.problem import make_problem
from experiments.stages.trained import METHODS
from tests import helpers
from tests.experiments import tiny

pytestmark = pytest.mark.loose


def test_every_method_that_acts_in_training_is_in_the_table():
    acting = {
        name
        for name, function in _names.public().items()
        if ".training." in function.__module__ and function.__annotations__["return"] is core.Compression
    }
    assert len(acting) > 20
    assert acting - {method for method, _ in METHODS.values()} == set()


PLACES = [("shard_map", 4, ""), ("pmap", 4, ""), ("jit", 4, "data:2,model:2"), ("shard_map", 4, "data:2,model:2")]


@pytest.mark.turns(4)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", helpers.quick(["gradual, lsq", "dense", "rigl", "l0", "distill"], "gradual, lsq"))
def test_losses_are_those_of_one_device(place, name, data_cache):
    config, (way, count, mesh) = tiny.get_config().to_dict(), place
    one = parity.losses(make_problem(config, data_cache, app.make_mesh(1)), name, 20)
    other = parity.losses(make_problem(config, data_cache, app.make_mesh(count, mesh), way), name, 20)
    np.testing.assert_allclose(other, one, atol=1e-5)


FOUND = {"jit 1": {"dense": [1.0, 0.5]}, "jit 2": {"dense": [1.0, 0.75]}, "pmap 2": {"dense": [1.0, 0.5]}}


def test_the_table_and_what_is_apart():
    assert parity.table(json.loads(json.dumps(FOUND))).splitlines() == [
        "| method | last loss | jit 2 | pmap 2 |", "|---|---:|---:|---:|", "| dense | 0.5000 | 2.5e-01 | 0.0e+00 |",
    ]  # fmt: skip
    assert parity.apart(FOUND, 1e-5) == ["dense under jit 2 (2.5e-01)"]
    assert parity.apart(FOUND, 0.25) == []


def test_methods_are_checked():
    assert parity.chosen([], {"a": 1}) == ["a"]
    with pytest.raises(ValueError, match="--methods=b: there is no 'b'; choose from a"):
        parity.chosen(["b"], {"a": 1})


def test_names_with_commas_come_back_from_the_flag():
    names = ["dense", "activations, lsq", "gradual, lsq"]
    assert flags.ListParser().parse(parity.listed(names)) == names
    assert set(parity.chosen(flags.ListParser().parse(parity.listed(list(METHODS))), METHODS)) == set(METHODS)


def test_losses_of_one_process_are_kept(monkeypatch, tmp_path):
    tries = []
    monkeypatch.setattr(parity, "measured", lambda names, steps, cache: tries.append(steps) or FOUND)
    for steps in (2, 2, 3):
        assert parity.kept(["dense"], steps, str(tmp_path), "") == FOUND
    assert tries == [2, 3]


def test_columns_have_names():
    assert [parity.title(column, 1) for column in parity.columns(1)][-2:] == ["jit 4 x 2", "shard_map 4 x 2"]
    assert [parity.title(column, 2) for column in parity.columns(2)][-1] == "pmap 2 processes"
