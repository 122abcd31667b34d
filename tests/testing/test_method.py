"""Examples are drawn from what they say, and a method is compiled where it can be."""

import jax
import numpy as np
import pytest

from compressjax import testing
from compressjax.testing._method import KINDS, SHAPES
from tests import toys
from tests.helpers import difference


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_gives_the_same_tree_every_time(kind):
    example = testing.Example(1, "float16", kind, 3)
    params = example.params()
    assert difference(params, example.params()) == difference(example.grads(), example.grads()) == ""
    assert params["step"] == 3
    assert params["conv"]["kernel"].shape == SHAPES[1]["conv/kernel"]
    assert {x.dtype.name for x in jax.tree.leaves(params)} == {"float16", "int32"}
    zeros = np.mean(np.asarray(params["last"]["kernel"]) == 0)
    assert {"normal": 0, "wide": 0, "zeros": 1}.get(kind, zeros) == zeros
    assert (0.4 < zeros < 1) == (kind == "sparse")


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind='odd' is not one of"):
        testing.Example(kind="odd").params()


def test_a_method_runs_from_its_first_ready_step():
    method = testing.Method("mask", toys.mask, ready=1)
    runs = list(method.runs(testing.Example(), (0, 2)))
    assert [run.step for run in runs] == [2]
    assert int(runs[0].state.mask["first/kernel"].sum()) == 24
    for traceable in (True, False):
        compiled = testing.Method("grid", toys.grid, traceable=traceable).compiled
        assert hasattr(compiled.view, "lower") == traceable
