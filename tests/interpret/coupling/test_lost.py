"""Removed units, counted by hand."""

import numpy as np
import pytest

from compressjax.interpret import Group
from compressjax.interpret.coupling._label_flow import LOOP_AXIS
from compressjax.interpret.coupling._lost import lost_units

GROUPS = [Group("a:1", (), 4, None, None), Group("b:0", (), 2, "data", None), Group("c:0", (), 3, LOOP_AXIS, None)]


def test_those_that_do_not_stay_in_order():
    assert lost_units(GROUPS, {"a:1": [3, 1]}) == {"a:1": [0, 2]}
    assert lost_units(GROUPS, {"a:1": np.array([2])}) == {"a:1": [0, 1, 3]}
    assert lost_units(GROUPS, {}) == {}


def test_a_frozen_group_may_stay_whole():
    assert lost_units(GROUPS, {"b:0": [0, 1], "c:0": range(3)}) == {"b:0": [], "c:0": []}


def test_layers_go_on_demand():
    assert lost_units(GROUPS, {"c:0": [0, 2]}, loops=True) == {"c:0": [1]}
    with pytest.raises(ValueError, match=r"'c:0' \(3 units\) cannot be cut: the axis of a loop.*can be cut: a:1"):
        lost_units(GROUPS, {"c:0": [0, 2]})


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"d:0": [0]}, "no group 'd:0'.*can be cut: a:1"),
        ({"a:1": []}, "units 0 to 3, and at least one"),
        ({"a:1": [0, 4]}, r"keep \[0, 4\]"),
        ({"a:1": [-1]}, r"keep \[-1\]"),
        ({"b:0": [0]}, "cannot be cut: data"),
    ],
)
def test_impossible_cuts_are_refused(kept, message):
    with pytest.raises(ValueError, match=message):
        lost_units(GROUPS, kept, loops=True)
