"""partition, only and compress: first match wins, every rule must do something, each gets what is its own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from compressjax.core._tree import whole
from tests import helpers, toys

PARAMS = {
    "a": {"kernel": helpers.array(0, (4, 6)), "bias": helpers.array(1, (6,))},
    "b": {"kernel": helpers.array(2, (6, 2)), "bias": helpers.array(3, (2,))},
}


def test_the_first_match_wins() -> None:
    tree = core.compress(PARAMS, {"b/kernel": toys.grid(), ".*kernel": toys.mask()})
    assert isinstance(tree["b"]["kernel"], tensors.Quantized)
    assert isinstance(tree["a"]["kernel"], tensors.Masked)
    assert int(tree["a"]["kernel"].mask.sum()) == 12
    assert tree["a"]["bias"] is PARAMS["a"]["bias"]


def test_selectors_are_literal() -> None:
    tree = core.compress(PARAMS, {".*": toys.grid()})
    assert all(isinstance(leaf, tensors.Quantized) for leaf in core.nodes(tree).values())


def test_callables_are_selectors() -> None:
    tree = core.compress(PARAMS, {core.kernels: toys.mask()})
    assert isinstance(tree["a"]["kernel"], tensors.Masked)
    assert not core.is_node(tree["a"]["bias"])


def test_a_selector_that_matches_nothing() -> None:
    with pytest.raises(ValueError, match=r"toy.mask: 'c' selects nothing: the tree has a/bias \(6,\)"):
        core.compress(PARAMS, {"a/kernel": toys.grid(), "c": toys.mask()})


def test_a_selector_that_comes_too_late() -> None:
    with pytest.raises(ValueError, match=r"toy.mask: 'a/kernel' selects nothing: earlier rules took \['a/kernel'\]"):
        core.compress(PARAMS, {".*kernel": toys.grid(), "a/kernel": toys.mask()})


def test_combined_rules() -> None:
    both = core.sequence(toys.factor(), toys.grid())
    tree = core.compress(PARAMS, {"a/kernel": both, "b/.*": core.chain(toys.mask(), toys.grid())})
    assert isinstance(tree["a"]["kernel"].left, tensors.Quantized)
    assert isinstance(tree["b"]["kernel"].value, tensors.Quantized)
    assert isinstance(tree["b"]["bias"].value, tensors.Quantized)
    assert tree["a"]["bias"] is PARAMS["a"]["bias"]


def test_compressing_what_is_compressed_already() -> None:
    once = core.compress(PARAMS, {"a/kernel": toys.factor()}, on_unchanged="ignore")
    twice = core.compress(once, {"a/kernel/left": toys.grid()})
    assert isinstance(twice["a"]["kernel"].left, tensors.Quantized)
    assert not core.is_node(twice["a"]["kernel"].right)


def test_statistics_reach_the_method() -> None:
    stats = {"a/kernel": {"norm": jnp.zeros(4)}}
    tree = core.compress(PARAMS, {"a/kernel": toys.weighted(), "b/kernel": toys.grid()}, stats)
    np.testing.assert_array_equal(tree["a"]["kernel"], np.zeros((4, 6)))
    with pytest.raises(ValueError, match="run observe and pass stats="):
        core.compress(PARAMS, {"a/kernel": toys.weighted()})


def test_a_rule_that_does_nothing_is_refused() -> None:
    every = {"a/kernel": toys.mask(1.0), ".*kernel": toys.grid(), ".*": core.identity()}
    with pytest.raises(ValueError, match="toy.mask changed no value and saved no byte of a/kernel; use stronger"):
        core.compress(PARAMS, every)
    with pytest.warns(core.UnchangedWarning, match="toy.factor changed no value and saved no byte of a/kernel, b/ker"):
        core.compress(PARAMS, {core.kernels: toys.factor()}, on_unchanged="warn")
    part = PARAMS | {"b": {"kernel": jnp.zeros((6, 2))}}
    tree = core.compress(part, {".*kernel": toys.mask(0.5)})  # zeros stay zeros, and "a" changes
    assert isinstance(tree["b"]["kernel"], tensors.Masked)
    keep = core.from_encode("keep", lambda path, x, stats: x)
    with pytest.raises(ValueError, match="keep changed no value and saved no byte of a/kernel;"):
        jax.eval_shape(lambda p: core.compress(p, {"a/kernel": keep}), PARAMS)
    jax.eval_shape(lambda p: core.compress(p, {"a/kernel": toys.factor()}), PARAMS)
    constant = jax.jit(lambda: core.compress(PARAMS, {"a/kernel": toys.grid()}))()
    assert isinstance(constant["a"]["kernel"], tensors.Quantized)


def ready(c: core.Compression, params: Any = PARAMS) -> Any:
    return c.after_step(params, c.init(params))[1]


def test_each_rule_acts_on_its_own_values() -> None:
    c = core.partition({"a/kernel": toys.mask(0.25), ".*kernel": toys.mask(0.5), ".*bias": toys.learner()})
    state = ready(c)
    assert [list(s[0]) for s in state.states] == [["a/kernel"], ["b/kernel"], ["a/bias", "b/bias"]]
    assert core.acts_on(c, PARAMS, state) == ("a/bias", "a/kernel", "b/bias", "b/kernel")
    masks = c.masks(PARAMS, state)
    assert {path: int(mask.sum()) for path, mask in masks.used.items()} == {
        "a/kernel": 6, "b/kernel": 6, "a/bias": 6, "b/bias": 2
    }  # fmt: skip
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    grads, after = c.before_step(ones, PARAMS, state)
    assert [int(grads[layer]["kernel"].sum()) for layer in "ab"] == [6, 6]
    np.testing.assert_allclose(after.states[2].score["a/bias"], 1 - 0.5 * PARAMS["a"]["bias"], rtol=1e-6)
    low = after._replace(states=(*after.states[:2], jax.tree.map(lambda x: -jnp.ones_like(x), after.states[2])))
    moved, _ = c.after_step(PARAMS, low)
    assert not moved["b"]["bias"].any()
    assert moved["a"]["kernel"] is PARAMS["a"]["kernel"]
    assert (c.learns, c.name) == (True, "partition('a/kernel': toy.mask, '.*kernel': toy.mask, '.*bias': toy.learner)")


def test_partitions_nest_in_everything() -> None:
    inner = core.partition({".*kernel": toys.mask(), ".*": toys.grid()})
    c = core.partition({"a/.*": core.chain(core.only("a/bias", core.identity()), inner), "b/kernel": toys.factor()})
    state = ready(c)
    tree = c.encode(PARAMS, state)
    assert [type(x).__name__ for x in core.nodes(tree).values()][:3] == ["Quantized", "Masked", "ArrayImpl"]
    assert helpers.difference(jax.jit(c.view)(PARAMS, state), core.materialize(tree)) == ""


def test_only_says_which_values_there_are() -> None:
    c = core.only(".*bias", toys.mask())
    assert core.acts_on(c, PARAMS, ready(c)) == ("a/bias", "b/bias")
    with pytest.raises(ValueError, match=r"toy.mask: '.\*kernel' selects nothing: the tree has a/bias \(6,\), b/bias"):
        core.only(".*bias", core.only(".*kernel", toys.mask())).init(PARAMS)
    with pytest.raises(ValueError, match="there are no rules"):
        core.partition({})


def test_a_sequence_below_chosen_values() -> None:
    """The second phase sees what lies inside the chosen leaves, vectors and all."""
    c = core.only("a/kernel", core.sequence(toys.factor(), toys.mask()))
    assert list(ready(c).second.mask) == ["a/kernel/left", "a/kernel/right"]


def test_who_needs_the_whole_tree_gets_it() -> None:
    found = []
    base = core.identity()
    spy = base._replace(init=lambda tree: found.append(whole(tree)) or (), after_step=lambda p, s, stats=None: (p, s))
    core.only("a/.*", core.partition({".*kernel": core.sequence(toys.factor(), spy)})).init(PARAMS)
    assert helpers.difference(core.materialize(found[0]), PARAMS) == ""
    assert isinstance(found[0]["a"]["kernel"], tensors.LowRank)


def test_the_trace_is_linear_in_the_leaves(monkeypatch) -> None:
    """Values are listed a few times a step, not once a leaf."""
    calls = []
    from compressjax.core import _compression

    original = _compression.values
    monkeypatch.setattr(_compression, "values", lambda tree: calls.append(1) or original(tree))
    params = {f"layer{i}/kernel": jnp.ones((2, 2)) for i in range(50)}
    c = toys.learner()
    c.before_step(params, params, c.init(params))
    assert len(calls) == 1
