"""A stage on a tree: every leaf has one rule, and a stage that does nothing is refused."""

import jax.numpy as jnp
import pytest

from compressjax import core, quant
from compressjax.recipe._work import Part, begin
from compressjax.tensors import Masked, Quantized, RoundedInputs
from tests import toys

TREE = {"a": jnp.array([[1.0, 2.0], [3.0, 4.5]]), "b": jnp.array([[0.5, 2.0]]), "n": 3}


def test_the_first_rule_that_matches_wins():
    parts = [Part("a", quant.rtn(2, granularity="tensor")), Part(".", quant.rtn(8, granularity="tensor"))]
    done = begin("stage s", TREE, parts, None, False).apply()
    assert (done["a"].bits, done["b"].bits, done["n"]) == (2, 8, 3)


@pytest.mark.parametrize(("patterns", "said"), [(("c",), "'c' selects nothing"), ((".", "a"), "earlier rules took")])
def test_a_rule_without_a_leaf_is_refused(patterns, said):
    with pytest.raises(ValueError, match=said):
        begin("stage s", TREE, [Part(p, core.identity()) for p in patterns], None, False).apply()


def test_two_rules_for_one_selector_are_refused():
    """A mapping of rules would keep the last one."""
    with pytest.raises(ValueError, match="stage s: there are two rules for 'a'"):
        begin("stage s", TREE, [Part("a", quant.rtn(2)), Part("a", quant.rtn(8))], None, False)


def test_where_leaves_were_unknown_some_rule_must_find_something():
    parts = [Part("a/left", core.identity()), Part("a", core.identity())]
    assert begin("stage s", TREE, parts, None, True).notes == ("rule 'a/left' found no leaf",)
    with pytest.raises(ValueError, match="no rule selects any"):
        begin("stage s", TREE, parts[:1] * 2, None, True)


def test_training_goes_through_nodes():
    """Values of a tree with nodes are trained in place, under a further method."""
    tree = {"b": TREE["b"], "a": Masked(TREE["a"], jnp.array([[True, False], [True, True]]))}
    work = begin("stage s", tree, [Part("a", quant.fake_quant(2, granularity="tensor"))], None, False)
    assert set(work.params) == {"a", "b"}
    state = work.compression.init(work.params)
    seen = work.view(work.params, state)
    assert seen["a"][0, 1] == 0
    done = work.encode(work.params, state)
    assert isinstance(done["a"].value, Quantized)
    assert (core.dense(done["a"]) == seen["a"]).all()


def test_nodes_of_a_view_stay():
    """Those that round inputs run in training; nodes of earlier stages are made dense."""
    masked = Masked(TREE["a"], jnp.array([[True, False], [True, True]]))
    for tree in (TREE, {**TREE, "a": masked}):
        work = begin("stage s", tree, [Part("a", quant.activations(4))], None, False)
        seen = work.view(work.params, work.compression.init(work.params))
        assert isinstance(getattr(seen["a"], "value", seen["a"]), RoundedInputs)
        assert not core.is_node(seen["b"])
    other = begin("stage s", {**TREE, "a": masked}, [Part("b", quant.rtn(8))], None, False)
    assert not core.is_node(other.view(other.params, other.compression.init(other.params))["a"])


def test_a_stage_that_changes_nothing_is_refused():
    parts = [Part(None, toys.mask(1.0))]
    with pytest.raises(ValueError, match="stage s: its method changed no value and saved no bit"):
        begin("stage s", {"a": TREE["a"]}, parts, None, False).apply()
    same = begin("stage s", {"a": TREE["a"]}, (), None, False)
    with pytest.raises(ValueError, match="its training changed no value"):
        same.encode(same.params, same.compression.init(same.params))
    whole = begin("stage s", {"a": TREE["a"]}, parts, None, False)
    with pytest.raises(ValueError, match="its method changed no value"):
        whole.encode({"a": TREE["a"] + 1}, whole.compression.init(whole.params))
