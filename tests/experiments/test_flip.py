"""Bits that flip in checkpoints are found; `experiments.flip` tries more of them on the stages of a config."""

import random

import pytest

from compressjax import recipe
from experiments.flip import flip_and_run, keep, last_tree
from tests.recipe.test_run import recipe_of_two

TRIES = 6


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return keep(recipe_of_two(), "data", tmp_path_factory.mktemp("kept"))


def test_what_is_kept_covers_both_kinds_of_checkpoints(kept):
    names = sorted(path.name.partition("-")[0] for folder in kept for path in folder.glob("*/[!.]*"))
    assert names == ["final", "final", "final", "step"]


@pytest.mark.parametrize("seed", range(TRIES))
def test_a_flipped_bit_is_refused_and_the_result_is_the_same(kept, seed):
    draw = random.Random(seed)
    whole, refused = last_tree(recipe_of_two(), recipe.Store(str(kept[0])), "data")
    assert refused == []
    found = flip_and_run(recipe_of_two(), kept[seed % 2], "data", draw)
    assert found.refused == [found.name]
    assert found.tree["x"].tobytes() == whole["x"].tobytes()
