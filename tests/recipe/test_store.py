"""Checkpoints are complete or absent."""

import os
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import recipe, tensors
from tests.helpers import difference

TREE = {
    "w": tensors.Masked(np.arange(4, dtype=np.float32), np.array([True, False, True, True])),
    "empty": np.zeros((0, 2)),
    "step": np.array(3, np.int32),
    "half": np.ones(3, jnp.bfloat16),
}


@pytest.fixture
def store(tmp_path):
    return recipe.Store(str(tmp_path))


def test_trees_and_facts_come_back(store):
    store.save("key/final", TREE, {"accuracy": 0.5, "history": [{"step": 1}]})
    held = store.load("key/final")
    assert difference(held.tree, TREE) == ""
    assert held.facts == {"accuracy": 0.5, "history": [{"step": 1}]}


def test_a_tree_without_arrays_comes_back(store):
    store.save("a", {"x": 1, "y": []}, {})
    assert store.load("a").tree == {"x": 1, "y": []}


def test_what_stands_is_kept(store):
    store.save("a", {"x": 1}, {})
    store.save("a", {"x": 2}, {})
    assert store.load("a").tree == {"x": 1}


def test_absence_is_said(store):
    assert not store.has("a")
    with pytest.raises(ValueError, match="no checkpoint 'a'"):
        store.load("a")


def test_names_are_sorted_and_whole(store):
    for name in ("k/step-2", "k/step-1"):
        store.save(name, {}, {})
    os.makedirs(f"{store.root}/k/step-3")
    assert store.names("k") == ["k/step-1", "k/step-2"]
    assert store.names("other") == []


@pytest.mark.parametrize("where", ["compressjax.recipe._store.write_file", "compressjax.recipe._store.os.replace"])
def test_a_failure_leaves_nothing_behind(store, monkeypatch, where):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(where, fail)
    with pytest.raises(OSError, match="disk full"):
        store.save("k/a", TREE, {})
    monkeypatch.undo()
    assert not store.has("k/a")
    assert os.listdir(f"{store.root}/k") == []


def test_sweep_spares_the_whole_and_the_young(store):
    store.save("k/a", {}, {})
    for name, age in (("half", 0), (".young", 0), (".old", 7200)):
        os.makedirs(f"{store.root}/k/{name}")
        then = time.time() - age
        os.utime(f"{store.root}/k/{name}", (then, then))
    store.sweep("k")
    assert sorted(os.listdir(f"{store.root}/k")) == [".young", "a"]


def test_remove(store):
    store.save("k/a", TREE, {})
    store.remove("k/a")
    assert not store.has("k/a")
    assert os.listdir(f"{store.root}/k") == []


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a//b", ".", "a\\b"])
def test_names_stay_inside(store, name):
    for use in (lambda: store.save(name, {}, {}), lambda: store.load(name), lambda: store.remove(name)):
        with pytest.raises(ValueError, match="leads out of"):
            use()


def test_a_damaged_checkpoint_is_refused_and_named(store):
    store.save("k/a", TREE, {"step": 3})
    place = next(path for path in Path(store.root, "k/a/arrays").rglob("*") if path.is_file())
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(recipe.DamagedError, match=str(place)):
        store.load("k/a")
    assert store.has("k/a")


def test_a_probe_finds_what_cannot_be_written_and_leaves_nothing(store):
    store.probe("stage-0")
    assert os.listdir(f"{store.root}/stage-0") == []
    with pytest.raises(OSError, match="File name too long"):
        store.probe("s" * 300)
    Path(store.root, "link").symlink_to("nowhere")
    with pytest.raises(OSError, match="link/stage-0"):
        recipe.Store(f"{store.root}/link").probe("stage-0")
