"""Selectors: full matches, callables, and errors that name what there is."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import core, tensors
from compressjax.core._select import selected
from compressjax.core._tree import Chosen

TREE = {
    "Dense_0": {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)},
    "Conv_0": {"kernel": jnp.zeros((3, 3, 1, 2)), "bias": jnp.zeros(2)},
    "step": jnp.zeros((2, 2), int),
}


def test_kernels_by_default() -> None:
    assert tuple(selected(TREE, "prune")) == ("Conv_0/kernel", "Dense_0/kernel")
    assert tuple(selected(jax.eval_shape(lambda t: t, TREE), "prune")) == ("Conv_0/kernel", "Dense_0/kernel")


@pytest.mark.parametrize(
    ("path", "shape"),
    [("batch_norm/offset", (1, 1, 1, 4)), ("norm/w", (1, 1, 4)), ("blocks/b1", (3, 8)), ("mean", (2, 3)),
     ("norm/running_var", (1, 3)), ("bn/moving_variance", (2, 3)), ("rms/gamma", (2, 3))],
)  # fmt: skip
def test_parameters_of_norms_and_stacked_biases_are_no_kernels(path, shape) -> None:
    assert not core.kernels(path, jnp.zeros(shape))
    assert core.kernels(path.rsplit("/")[0] + "/block", jnp.zeros((2, *shape)))


def test_biases_of_attention_are_no_kernels() -> None:
    heads = {"query": {"kernel": jnp.zeros((8, 2, 4)), "bias": jnp.zeros((2, 4))}, "norm": {"scale": jnp.zeros((2, 4))}}
    assert tuple(selected(heads, "prune")) == ("query/kernel",)
    assert core.kernels("rebias", jnp.zeros((2, 4)))


@pytest.mark.parametrize(
    ("selector", "paths"),
    [
        (".*bias", ["Conv_0/bias", "Dense_0/bias"]),
        ("Dense_0/.*", ["Dense_0/bias", "Dense_0/kernel"]),
        (lambda path, leaf: leaf.size == 2, ["Conv_0/bias"]),
    ],
)
def test_a_selector_replaces_the_default(selector: core.Selector, paths: list[str]) -> None:
    assert tuple(selected(TREE, "prune", selector)) == tuple(paths)


def test_what_a_rule_chose_is_acted_on_whatever_it_is() -> None:
    chosen = Chosen({"Dense_0/bias": jnp.zeros(3)}, TREE)
    assert list(selected(chosen, "prune")) == ["Dense_0/bias"]
    assert list(selected(TREE, "prune")) == ["Conv_0/kernel", "Dense_0/kernel"]
    with pytest.raises(ValueError, match="prune: .*lambda.* selects nothing"):
        selected(Chosen({}, TREE), "prune")


@pytest.mark.parametrize("pattern", ["kernel", "Dense_0", "Dense_0/kerne", "ense_0/kernel", "step", "dense_0/kernel"])
def test_patterns_match_in_full(pattern: str) -> None:
    with pytest.raises(ValueError, match="selects nothing") as error:
        selected(TREE, "prune", pattern)
    assert str(error.value).startswith(f"prune: '{pattern}' selects nothing")
    assert "Dense_0/kernel (2, 3)" in str(error.value)


def test_the_message_stays_short_for_large_trees() -> None:
    tree = {f"layer{i:03d}": jnp.zeros(1) for i in range(100)}
    with pytest.raises(ValueError, match="and 88 more"):
        selected(tree, "prune")
    with pytest.raises(ValueError, match="the tree has only None or nothing"):
        selected({}, "prune")


def test_a_bad_pattern_is_named() -> None:
    with pytest.raises(ValueError, match=r"selector '\(' is not a regular expression"):
        selected(TREE, "prune", "(")


def test_values_inside_nodes_are_selected_by_their_path() -> None:
    tree = {"w": tensors.LowRank(jnp.zeros((4, 2)), jnp.zeros((2, 3))), "b": jnp.zeros(3)}
    assert tuple(selected(tree, "prune")) == ("w/left", "w/right")
    assert tuple(selected(tree, "prune", ".*left")) == ("w/left",)
