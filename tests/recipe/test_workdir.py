"""A work directory keeps its settings."""

import json

import pytest

from compressjax import recipe


def test_claim_writes_and_accepts_the_same(tmp_path):
    place = tmp_path / "new" / "run"
    settings = {"b": (1, 2), "a": {"x": 0.5}}
    recipe.claim(str(place), settings)
    recipe.claim(str(place), settings)
    assert json.loads((place / "config.json").read_text()) == {"a": {"x": 0.5}, "b": [1, 2]}


def test_claim_names_the_field_and_the_remedy(tmp_path):
    recipe.claim(str(tmp_path), {"train": {"rate": 0.1}, "seed": 0})
    with pytest.raises(ValueError, match=r"train\.rate is 0\.1 there and 0\.2 now.*another --workdir"):
        recipe.claim(str(tmp_path), {"train": {"rate": 0.2}, "seed": 0})
    assert json.loads((tmp_path / "config.json").read_text())["train"]["rate"] == 0.1


def test_claim_refuses_files_and_damage(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="is a file"):
        recipe.claim(str(file), {})
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        recipe.claim(str(tmp_path), {})


def test_differences_find_added_and_removed_fields():
    found = recipe.differences({"a": 1, "b": {"c": [1]}}, {"b": {"c": [2], "d": None}, "e": 2})
    assert found == [("a", 1, None), ("b.c[0]", 1, 2), ("e", None, 2)]
