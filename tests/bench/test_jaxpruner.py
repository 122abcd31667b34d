"""RigL and SET with biases under optimizers on which jaxpruner crashes; its folder has the recorded run."""

import importlib.util
import pathlib

import jax
import numpy as np
import pytest

from tests import helpers
from third_party.jaxpruner import compare

README = pathlib.Path(compare.__file__).with_name("README.md").read_text(encoding="utf-8")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "optimizer", helpers.quick(["lion", "partition", "inject_hyperparams", "MultiSteps"], "partition")
)
@pytest.mark.loose
def test_ours_runs_where_the_peer_was_seen_to_crash(optimizer):
    params, gradient = compare.problem(biases=True)
    for name in ("rigl", "set"):
        trained = compare.ours(name, compare.OPTIMISERS[optimizer](), params, gradient)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(trained))
        first = compare.our_method(name).init(params).masks
        for layer in params:
            kept = np.asarray(trained[layer]["kernel"]) != 0
            # Exactly half, whatever moved; and connections did move, both ways.
            assert kept.sum() == kept.size // 2
            grown = (kept & ~np.asarray(first[f"{layer}/kernel"])).sum()
            assert 0 < grown == (~kept & np.asarray(first[f"{layer}/kernel"])).sum()
            assert (np.asarray(trained[layer]["bias"]) != 0).all()
        row = next(line for line in README.splitlines() if line.startswith(f"| {name} | yes | {optimizer} |"))
        assert row.split(" | ")[3] == compare.outcome(lambda: trained) == "runs, 50% zeros"  # noqa: B023
        assert "AttributeError: module 'jax' has no attribute 'tree_map'" in row
        assert "ValueError: pytree structure error" in row


@pytest.mark.skipif(importlib.util.find_spec("jaxpruner") is None, reason="no checkout of jaxpruner on PYTHONPATH")
def test_the_recorded_crash_is_still_there():
    from third_party.jaxpruner import adapter

    params, gradient = compare.problem(biases=True)
    make = compare.OPTIMISERS["lion"]
    assert "tree_map" in compare.outcome(lambda: adapter.train("rigl", make(), params, gradient, 3))
    adapter.with_removed_names()
    try:
        assert compare.outcome(lambda: adapter.train("rigl", make(), params, gradient, 3)).startswith("ValueError")
    finally:
        del jax.tree_map


def test_an_outcome_tells_errors_from_runs():
    def fail():
        raise ValueError("no\nreally")

    assert compare.outcome(fail) == "ValueError: no"
