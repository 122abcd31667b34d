"""Bits that flip in checkpoints are found; `python -m experiments.flip` tries more of them."""

import random

import pytest

from compressjax import recipe
from experiments.flip import file_of, flip_and_run, keep, last_tree, small_stages

TRIES = 4


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return keep(small_stages(), "data", tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def whole(kept):
    tree, refused = last_tree(small_stages(), recipe.Store(str(kept[0])), "data")
    assert refused == []
    return file_of(tree)


def test_what_is_kept_covers_both_kinds_of_checkpoints(kept):
    names = [sorted(path.name.partition("-")[0] for path in folder.glob("*/[!.]*")) for folder in kept]
    assert names == [["final"] * 3, ["final", "step"]]


@pytest.mark.turns(2)
@pytest.mark.parametrize("seed", range(TRIES))
def test_a_flipped_bit_is_refused_and_the_file_is_the_same(kept, whole, seed):
    found = flip_and_run(small_stages(), kept[seed % 2], "data", random.Random(seed))
    assert found.refused == [found.name]
    assert file_of(found.tree) == whole
