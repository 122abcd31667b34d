"""Containers: every leaf at its own path, once, and mappings in their order."""

from collections import OrderedDict

import pytest

from compressjax.coding import ArtifactError
from compressjax.coding._containers import build, is_ordered


def test_trees_are_built_in_order():
    ordered = build({"o": [["z", 1], ["a", {"l": [1, None]}]]}, {"z": 1, "a/0": 2})
    assert ordered == OrderedDict(z=1, a=[2, None])
    assert type(ordered) is OrderedDict
    assert type(build({"d": [["z", 1]]}, {"z": 1})) is dict


def test_ordered_dicts_are_found_at_any_depth():
    assert is_ordered({"d": [["a", {"l": [1, {"o": []}]}]]})
    assert not is_ordered({"t": [1, None, {"d": [["o", 1]]}]})


@pytest.mark.parametrize(
    ("description", "leaves"),
    [
        ({"d": [["a", 1], ["a", 1]]}, {"a": 1, "b": 2}),
        ({"d": [["a", {"d": []}], ["a", 1]]}, {"a": 1}),
        ({"d": [["a", 1]]}, {"b": 1}),
        ({"o": [["a", {"t": [1, 1]}]]}, {"a/1": 1, "a/0": 2}),
        ({"d": [["x" * 70000, None]]}, {}),
    ],
)
def test_lost_and_moved_leaves_are_refused(description, leaves):
    with pytest.raises(ArtifactError, match="twice|stands at|longer than"):
        build(description, leaves)
