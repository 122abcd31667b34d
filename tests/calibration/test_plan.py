"""The plan knows methods, layouts, sizes and digests before anything is computed."""

import pytest

from compressjax import quant
from compressjax.calibration import _plan
from compressjax.calibration._plan import digests, make_plan
from tests.calibration import toys


def plan(rules, params=None):
    return make_plan(toys.mlp, params or toys.mlp_params(), toys.rows(4), rules, None, (), "skip")


def test_one_compression_acts_on_products():
    made = plan(toys.shift())
    assert made.steps == [("a",), ("b",), ("c",)]
    assert made.layout["a"].inputs == (0,)


def test_settings_that_no_name_shows_change_the_digest():
    params = toys.mlp_params()
    first, again, other = (digests(plan({"a": quant.gptq(4, damp=d)}), params) for d in (0.01, 0.01, 0.02))
    assert first == again
    assert [name for name in first if first[name] != other[name]] == ["settings"]


def test_expected_memory_is_that_of_nodes_statistics_and_activations(monkeypatch):
    monkeypatch.setattr(_plan, "peak", lambda: 0)
    monkeypatch.setattr(_plan, "in_use", lambda: 1000)
    kernels, statistics, hidden = 30 + 35 + 21, 49 + 3 * 7 + 1, 4 * 7
    assert plan(toys.shift()).expected == 1000 + 4 * (kernels + 4 * statistics + hidden)


@pytest.mark.parametrize("rules", [{}, 3])
def test_no_rules(rules):
    with pytest.raises(ValueError, match="give a compression"):
        plan(rules)
