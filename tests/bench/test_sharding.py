"""What devices exchange while leaves that lie on several are compressed, and the memory of a step on each."""

import pytest

from experiments.bench import sharding
from tests import helpers

# Scores that need all entries of a leaf in their order; the docs name them.
SORTED = {"one-shot, LAMP", "rtn, ternary, optimum"}
CASES = [(name, layout) for name in sharding.METHODS if name not in SORTED for layout in sharding.LAYOUTS]
QUICK = [("magnitude, global", "both"), ("rtn, groups", "fsdp"), ("kmeans", "tp"), ("gptq", "fsdp")]
# Of a kernel [128, 192]: a number for every input and ten for every output, and the histograms of `optimal`.
LEAF, SIDES = 4 * 128 * 192, 4 * (128 + 10 * 192) + 4 * 3 * 1040


@pytest.mark.turns(4)
@pytest.mark.parametrize(("name", "layout"), helpers.quick(CASES, *QUICK))
def test_no_kernel_is_made_whole(name, layout):
    """Devices send shards to and fro at most, and gather or sum nothing that grows with the entries."""
    found = sharding.measured(name, layout, 1, devices=4)
    assert found.leaf == LEAF
    moved = sum(size for kind, size in found.exchanged.items() if kind in ("all-to-all", "collective-permute"))
    assert found.gathered <= SIDES
    assert moved <= 5 * LEAF / 4  # to and fro, in two moves on two axes, and scales
    assert found.held < LEAF or "gptq" in name or "sparsegpt" in name or "awq" in name  # those hold Gram matrices


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["wanda", "rtn, groups", "lsq", "kmeans", "low_rank_correction", "sparsegpt, 2:4"])
def test_what_is_summed_grows_with_a_side_at_most(name):
    small, large = (sharding.measured(name, "fsdp", scale, devices=4) for scale in (1, 2))
    assert large.leaf == 4 * small.leaf
    assert large.gathered <= 2 * small.gathered


def test_memory_of_a_training_step_falls_as_the_devices_rise():
    one, four = (sharding.training_step(count, width=32, layers=2) for count in (1, 4))
    assert one.held >= 3.8 * four.held
    assert one.exchanged == {}
    assert four.gathered == 4 * 32 * 32  # one layer at a time


def test_a_score_that_sorts_is_seen_to_gather():
    """The measure itself: LAMP makes the kernel whole."""
    assert sharding.measured("one-shot, LAMP", "fsdp", 1, devices=4).gathered >= LEAF
