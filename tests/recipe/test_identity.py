"""Keys depend on content only."""

import hashlib

import numpy as np
import pytest

from compressjax import recipe


def test_canonical_forgets_the_order_of_keys():
    assert recipe.canonical({"b": 1, "a": {"d": 2, "c": (3,)}}) == '{"a":{"c":[3],"d":2},"b":1}'


@pytest.mark.parametrize("value", [np.zeros(2), lambda: 0, float("nan"), {1, 2}])
def test_canonical_refuses_what_json_cannot_say(value):
    with pytest.raises(ValueError, match="plain JSON"):
        recipe.canonical({"a": value})


def test_digest_is_sha256_of_the_canonical_text():
    assert recipe.digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_fingerprint_sees_names_dtypes_shapes_and_bytes():
    base = {"x": np.arange(6, dtype=np.int32)}
    others = [
        {"y": base["x"]},
        {"x": base["x"].astype(np.uint32)},
        {"x": base["x"].reshape(2, 3)},
        {"x": base["x"][::-1]},
        {"x": base["x"], "y": np.zeros(1)},
    ]
    prints = {recipe.fingerprint(arrays) for arrays in [base, *others]}
    assert len(prints) == 6


def test_fingerprint_forgets_layout_in_memory():
    x = np.arange(6.0).reshape(2, 3)
    assert recipe.fingerprint({"x": np.asfortranarray(x)}) == recipe.fingerprint({"x": x})


@pytest.mark.parametrize(
    ("change", "first_changed"),
    [(("data",), 0), (("name", 0), 0), (("settings", 1), 1), (("settings", 2), 2)],
)
def test_a_change_reaches_its_stage_and_all_later_ones(change, first_changed):
    stages = [["a", 1], ["b", {"x": 2}], ["c", 3]]
    before = recipe.chain_keys("data", stages)
    data = "other" if change[0] == "data" else "data"
    if change[0] == "name":
        stages[change[1]][0] = "other"
    if change[0] == "settings":
        stages[change[1]][1] = "other"
    after = recipe.chain_keys(data, stages)
    assert [i for i in range(3) if before[i] != after[i]] == list(range(first_changed, 3))
